package sim

// Fate is what became of a packet given to a Pipe.
type Fate uint8

const (
	Taken      Fate = iota // on its way; it may still be lost
	LostDown               // the line was down
	LostMTU                // larger than the MTU
	LostQueue              // the queue was full
	LostRandom             // LinkConfig.Loss
	LostBurst              // LinkConfig.Burst
	LostCut                // waiting or in flight when the line went down
	fates
)

// String names the fate as counters and traces do.
func (f Fate) String() string {
	names := [fates]string{"taken", "down", "mtu", "queue", "random", "burst", "cut"}
	if f >= fates {
		return "unknown"
	}
	return names[f]
}

// Counters say what a Pipe did. Bytes are of IP packets. At any time
//
//	Offered + Duplicated = Arrived + the sum of Lost + packets still inside
type Counters struct {
	Offered, OfferedBytes int64
	Arrived, ArrivedBytes int64
	Lost                  [fates]int64 // by Fate; Lost[Taken] is always 0
	Reordered             int64        // held back by LinkConfig.Reorder
	Duplicated            int64
	Corrupted             int64

	// The most that ever waited in the queue.
	MaxQueuePackets int
	MaxQueueBytes   int // of Ethernet frames
}

// Dropped is the number of packets lost for any reason.
func (c *Counters) Dropped() int64 {
	var n int64
	for _, l := range c.Lost {
		n += l
	}
	return n
}
