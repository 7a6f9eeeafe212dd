package sim

import (
	"fmt"
	"strings"
	"time"
)

// EthernetHeader is what every packet weighs on a line beyond its own length:
// an Ethernet header without the frame check sequence, which is what Linux's
// shapers count too.
const EthernetHeader = 14

// LinkConfig says how one direction of a link treats packets. The zero
// LinkConfig is a perfect line: every packet arrives at once. Probabilities
// are from 0 to 1 and drawn for each packet by itself.
type LinkConfig struct {
	// Rate is in bits of Ethernet frame per second; 0 for no limit, in which
	// case no packet ever waits and the queue limits mean nothing. With RateIP
	// it is in bits of IP packet, as access lines are sold.
	Rate   int64
	RateIP bool
	// Delay is how long a packet takes after its last bit was sent.
	Delay time.Duration
	// Jitter is the most that is added to Delay, evenly distributed. Packets
	// keep their order unless JitterReorders is set.
	Jitter         time.Duration
	JitterReorders bool

	// Loss is the probability that a packet is lost after it was sent: it has
	// used the line's capacity by then.
	Loss  float64
	Burst Burst

	// The queue in front of the line drops the packets that would take it
	// beyond any of these limits; 0 for no limit. The packet being sent is no
	// longer in the queue.
	QueuePackets int
	QueueBytes   int           // of Ethernet frames
	QueueTime    time.Duration // until the packet's first bit is sent

	// Reorder is the probability that a packet takes ReorderDelay longer and
	// lets the packets behind it go past.
	Reorder      float64
	ReorderDelay time.Duration
	// Duplicate is the probability that a packet arrives twice.
	Duplicate float64
	// Corrupt is the probability that one byte behind the IP header is
	// changed. The TCP checksum finds a single changed byte always.
	Corrupt float64

	// MTU is the largest IP packet that passes, in bytes; 0 for no limit. A
	// larger one is dropped, and its sender told by an ICMP message unless
	// NoICMP makes the link a black hole (RFC 2923 section 2.1).
	MTU    int
	NoICMP bool

	// KeepLarge lets packets with Offload.SegSize set pass uncut and with
	// their checksum left as it is, for measurements of raw speed. It has no
	// effect on a link with middleboxes.
	KeepLarge bool
}

// Burst is the Gilbert-Elliott model of losses that come together: a line is
// good or bad, and may change before each packet.
type Burst struct {
	Enter float64 // probability of turning from good to bad
	Leave float64 // probability of turning from bad to good
	Loss  float64 // probability of losing a packet while bad
}

// Mean is the share of packets a burst model loses in the long run.
func (b Burst) Mean() float64 {
	if b.Enter <= 0 {
		return 0
	}
	return b.Enter / (b.Enter + b.Leave) * b.Loss
}

// sendTime is how long a packet of n bytes keeps the line busy. The part of a
// nanosecond that is left over is returned to be put on top of the next
// packet's, so that a busy line keeps its rate exactly.
func (c *LinkConfig) sendTime(n int, carry int64) (d time.Duration, left int64) {
	if c.Rate <= 0 {
		return 0, 0
	}
	if !c.RateIP {
		n += EthernetHeader
	}
	total := int64(n)*8*int64(time.Second) + carry
	return time.Duration(total / c.Rate), total % c.Rate
}

// String gives the configuration in a line, without what is not in use.
func (c LinkConfig) String() string {
	var b strings.Builder
	if c.Rate > 0 {
		b.WriteString(formatRate(c.Rate))
	} else {
		b.WriteString("unlimited")
	}
	fmt.Fprintf(&b, " %v", c.Delay)
	if c.Jitter > 0 {
		fmt.Fprintf(&b, "+%v", c.Jitter)
		if c.JitterReorders {
			b.WriteString("(reorders)")
		}
	}
	percent := func(name string, p float64) {
		if p > 0 {
			fmt.Fprintf(&b, " %s=%.3g%%", name, p*100)
		}
	}
	percent("loss", c.Loss)
	if c.Burst.Enter > 0 {
		fmt.Fprintf(&b, " burst=%.3g%%/%.3g%%/%.3g%%", c.Burst.Enter*100, c.Burst.Leave*100, c.Burst.Loss*100)
	}
	if c.Reorder > 0 {
		percent("reorder", c.Reorder)
		fmt.Fprintf(&b, "(%v)", c.ReorderDelay)
	}
	percent("dup", c.Duplicate)
	percent("corrupt", c.Corrupt)
	if c.QueuePackets > 0 {
		fmt.Fprintf(&b, " queue=%dp", c.QueuePackets)
	}
	if c.QueueBytes > 0 {
		fmt.Fprintf(&b, " queue=%dB", c.QueueBytes)
	}
	if c.QueueTime > 0 {
		fmt.Fprintf(&b, " queue=%v", c.QueueTime)
	}
	if c.MTU > 0 {
		fmt.Fprintf(&b, " mtu=%d", c.MTU)
	}
	if c.NoICMP {
		b.WriteString(" noicmp")
	}
	if c.KeepLarge {
		b.WriteString(" large")
	}
	return b.String()
}

func formatRate(bits int64) string {
	switch {
	case bits >= 1e6:
		return fmt.Sprintf("%.4gMbit/s", float64(bits)/1e6)
	case bits >= 1e3:
		return fmt.Sprintf("%.4gkbit/s", float64(bits)/1e3)
	}
	return fmt.Sprintf("%dbit/s", bits)
}
