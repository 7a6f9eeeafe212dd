package tcp

import (
	"net/netip"
	"time"
)

// Config is what a connection may be told before it starts. The zero value
// of every field is a usable default.
type Config struct {
	Local, Remote netip.AddrPort

	// ISN is the initial sequence number (see ISNSource) and TSOffset what
	// is added to the timestamp clock (RFC 7323 section 5.4).
	ISN      uint32
	TSOffset uint32

	// MTU is the largest IP packet of the way out, in bytes; 0 means 1500.
	MTU int
	// MaxPacket is the largest packet Output may build for a device that cuts
	// it up (TSO), in bytes; 0 means the MTU.
	MaxPacket int
	// PartialChecksum leaves the TCP checksum to the device.
	PartialChecksum bool

	CongestionControl string // a name package cc knows; "" means "cubic"
	NoTimestamps      bool
	NoSACK            bool
	NoWindowScale     bool
	// MaxWindow is the largest receive window the Upper will ever offer; it
	// decides the window scale. 0 means 64 KiB.
	MaxWindow int
	Nagle     bool // RFC 9293 section 3.7.4; off unless asked for
	TTL, TOS  uint8

	KeepAlive KeepAlive
	// UserTimeout ends a connection whose data stays unacknowledged that
	// long (RFC 9293 section 3.9.1, RFC 5482). 0: after MaxRetries timeouts.
	UserTimeout time.Duration
	// SynRetries and Retries are how many retransmission timeouts in a row
	// end an attempt to connect, or a connection (R2 of RFC 9293 section
	// 3.8.3). 0 means 6 and 15.
	SynRetries, Retries int
	// FinTimeout is how long a connection closed both ways by us waits for
	// the peer's FIN; 0 means 60 s.
	FinTimeout time.Duration
}

// KeepAlive configures probes of an idle connection (RFC 9293 section 3.8.4).
type KeepAlive struct {
	Idle     time.Duration // silence before the first probe; 0: no keep-alive
	Interval time.Duration // between probes; 0 means 75 s
	Count    int           // unanswered probes that end the connection; 0 means 9
}

const (
	defaultMTU        = 1500
	defaultSynRetries = 6
	defaultRetries    = 15
	defaultFinTimeout = 60 * time.Second
	defaultKeepIntvl  = 75 * time.Second
	defaultKeepCount  = 9
)

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	defDur := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.MTU, defaultMTU)
	def(&c.MaxPacket, c.MTU)
	def(&c.MaxWindow, 1<<16)
	def(&c.SynRetries, defaultSynRetries)
	def(&c.Retries, defaultRetries)
	def(&c.KeepAlive.Count, defaultKeepCount)
	defDur(&c.KeepAlive.Interval, defaultKeepIntvl)
	defDur(&c.FinTimeout, defaultFinTimeout)
	if c.TTL == 0 {
		c.TTL = 64
	}
	if c.CongestionControl == "" {
		c.CongestionControl = "cubic"
	}
}

// scale is the window scale that lets a window of n bytes be advertised (RFC
// 7323 section 2.3), at most 14.
func scale(n int) uint8 {
	var s uint8
	for s < 14 && n>>s > 0xffff {
		s++
	}
	return s
}
