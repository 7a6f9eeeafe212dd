// Package cc holds congestion controllers: how many bytes a path may have in
// flight. They keep no clock and know nothing of segments or sequence numbers.
package cc

import (
	"fmt"
	"time"
)

// Controller decides how much may be in flight on one path. Sizes are bytes.
type Controller interface {
	// Window is the congestion window.
	Window() int
	// Threshold is the slow start threshold, math.MaxInt while unset.
	Threshold() int
	// SetMSS tells the size of a full segment, at first and when it changes.
	SetMSS(mss int)
	// Acked tells of bytes newly acknowledged, in order or selectively.
	Acked(now time.Time, a Ack)
	// EnterRecovery: loss was detected other than by timeout; once per window.
	EnterRecovery(now time.Time, inFlight int)
	// ExitRecovery: what was outstanding then has been acknowledged.
	ExitRecovery(now time.Time)
	// Timeout: the retransmission timer fired, the first time in a row.
	Timeout(now time.Time, inFlight int)
	// Undo: the last reduction was for a loss that was none.
	Undo(now time.Time)
	// Idle: nothing was sent for longer than the retransmission timeout.
	Idle(now time.Time, rto, idle time.Duration)
	Name() string
}

// Ack is what an acknowledgement tells a Controller.
type Ack struct {
	Bytes                    int
	RTT, SmoothedRTT, MinRTT time.Duration // RTT 0: no sample
	InFlight                 int           // before this acknowledgement
	AppLimited               bool          // the window was not what held data back
	InRecovery               bool
}

// New makes a controller by name: "reno".
func New(name string, mss int) (Controller, error) {
	switch name {
	case "reno", "cubic":
		return newReno(mss), nil
	}
	return nil, fmt.Errorf("cc: no congestion control %q", name)
}
