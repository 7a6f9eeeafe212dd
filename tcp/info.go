package tcp

import "time"

// Stats counts what a connection did.
type Stats struct {
	SegmentsSent, SegmentsReceived, SegmentsRetransmitted uint64
	BytesSent, BytesAcked, BytesReceived                  uint64 // payload, the first time each byte went
	BytesRetransmitted                                    uint64
	Losses, Timeouts                                      uint64
	ChallengeACKs, PAWSRejected, WindowProbes             uint64
	Unreachable                                           uint64
}

// Info is a snapshot of a connection.
type Info struct {
	State                       State
	SRTT, RTTVar, MinRTT, RTO   time.Duration
	CongestionControl           string
	CongestionWindow, SlowStart int     // bytes
	InFlight, SendWindow, MSS   int     // bytes
	DeliveryRate                float64 // bytes per second
	Stats                       Stats
}

// Info describes the connection as it is.
func (c *Conn) Info() Info {
	return Info{
		State: c.state, SRTT: c.rtt.srtt, RTTVar: c.rtt.rttvar, MinRTT: c.rtt.min,
		RTO: c.rtt.backoff(c.loss.timeouts), CongestionControl: c.cc.Name(),
		CongestionWindow: c.cc.Window(), SlowStart: c.cc.Threshold(),
		InFlight: c.InFlight(), SendWindow: c.snd.wnd, MSS: c.SegmentSize(),
		DeliveryRate: c.loss.rate.rate, Stats: c.stats,
	}
}
