// Package cc holds congestion controllers: how many bytes may be in flight on
// one path. A controller keeps no clock and knows nothing of segments or
// sequence numbers; it is told what happened and when. Nothing here allocates
// but New.
package cc

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnknown is wrapped by New's error for a name it does not know.
var ErrUnknown = errors.New("cc: unknown congestion control")

// Controller decides how much may be in flight on one path. Sizes are bytes.
// A Controller belongs to one connection, whose owner calls it; times passed
// as now never go back.
type Controller interface {
	// Window is the congestion window, at least one full segment.
	Window() int
	// Threshold is the slow start threshold, math.MaxInt while unset.
	Threshold() int
	// SetMSS tells the payload of a full segment when it becomes known and
	// whenever it changes.
	SetMSS(mss int)
	// Acked tells of bytes newly acknowledged, in order or selectively. It
	// comes before EnterRecovery where one acknowledgement causes both.
	Acked(now time.Time, a Ack)
	// EnterRecovery tells of a loss found other than by a timeout. It comes
	// once per window of data. inFlight is what is outstanding.
	EnterRecovery(now time.Time, inFlight int)
	// ExitRecovery tells that all that was outstanding at the last
	// EnterRecovery or Timeout has been acknowledged.
	ExitRecovery(now time.Time)
	// Timeout tells that the retransmission timer fired, the first time in a
	// row: a repeated timeout for the same data changes nothing (RFC 5681
	// section 3.1).
	Timeout(now time.Time, inFlight int)
	// Undo tells that the loss behind the last reduction was none: the window
	// and threshold of before come back. A second Undo changes nothing.
	Undo(now time.Time)
	// Idle tells that sending begins again after nothing was in flight or
	// sent for the time idle, which is longer than the retransmission
	// timeout rto (RFC 5681 section 4.1).
	Idle(now time.Time, rto, idle time.Duration)
	// Name is the name New knows the controller by.
	Name() string
}

// Ack is what one acknowledgement tells a Controller.
type Ack struct {
	Bytes       int           // newly acknowledged, each byte counted once
	RTT         time.Duration // sample taken from this acknowledgement, 0 if none
	SmoothedRTT time.Duration // 0 before the first sample
	MinRTT      time.Duration
	InFlight    int  // before this acknowledgement
	AppLimited  bool // it was not the congestion window that held data back
	InRecovery  bool // between EnterRecovery and ExitRecovery
}

// New makes a controller by its name: "reno" (RFC 5681) or "cubic" (RFC 9438).
// mss is the payload of a full segment in bytes, more than 0.
func New(name string, mss int) (Controller, error) {
	switch name {
	case "reno":
		return newReno(mss), nil
	case "cubic":
		return newCubic(mss), nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknown, name)
}
