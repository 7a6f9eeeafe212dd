package kernel

import (
	"fmt"
	"time"
)

// TCPState is a state of RFC 9293 section 3.3.2 by the kernel's number.
type TCPState uint8

// TCP states of linux/tcp_states.h.
const (
	Established TCPState = iota + 1
	SynSent
	SynReceived
	FinWait1
	FinWait2
	TimeWait
	Closed
	CloseWait
	LastAck
	Listening
	Closing
	NewSynReceived
)

var stateNames = [...]string{
	Established: "ESTABLISHED", SynSent: "SYN-SENT", SynReceived: "SYN-RECEIVED",
	FinWait1: "FIN-WAIT-1", FinWait2: "FIN-WAIT-2", TimeWait: "TIME-WAIT", Closed: "CLOSED",
	CloseWait: "CLOSE-WAIT", LastAck: "LAST-ACK", Listening: "LISTEN", Closing: "CLOSING",
	NewSynReceived: "SYN-RECEIVED",
}

// String is the state's name in RFC 9293.
func (s TCPState) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// TCPInfo is what TCP_INFO says of one TCP connection or subflow (struct
// tcp_info of linux/tcp.h). Windows and counts in packets are so named.
type TCPInfo struct {
	State       TCPState
	Retransmits uint8 // of the segment at hand, without an answer
	Backoff     uint8
	AppLimited  bool // the delivery rate was limited by the application

	RTO    time.Duration
	ATO    time.Duration
	RTT    time.Duration
	RTTVar time.Duration
	MinRTT time.Duration
	RcvRTT time.Duration // as estimated from what was received

	SndMSS  uint32 // bytes
	RcvMSS  uint32
	PathMTU uint32

	SndCwnd     uint32 // packets
	SndSsthresh uint32 // packets
	SndWnd      uint32 // bytes the peer allows
	RcvWnd      uint32 // bytes we allow
	RcvSpace    uint32 // bytes
	Reordering  uint32 // packets

	Unacked      uint32 // packets in flight, by state
	Sacked       uint32
	Lost         uint32
	Retrans      uint32
	TotalRetrans uint32 // packets since the start

	PacingRate    uint64 // bytes per second
	DeliveryRate  uint64 // bytes per second
	BytesSent     uint64
	BytesAcked    uint64
	BytesReceived uint64
	BytesRetrans  uint64
	NotSent       uint32 // bytes

	SegsOut, SegsIn         uint32
	DataSegsOut, DataSegsIn uint32
	Delivered, DeliveredCE  uint32 // packets
	DSACKDups               uint32
	ReorderSeen             uint32
	RcvOutOfOrder           uint32 // packets

	BusyTime      time.Duration
	RwndLimited   time.Duration
	SndbufLimited time.Duration

	LastDataSent     time.Duration // ago
	LastDataReceived time.Duration // ago
	LastAckReceived  time.Duration // ago
}

// tcpInfoSize is the size of the fields decoded; the kernel's structure may be
// longer.
const tcpInfoSize = 240

func decodeTCPInfo(v view) TCPInfo {
	return TCPInfo{
		State:            TCPState(v.u8(0)),
		Retransmits:      v.u8(2),
		Backoff:          v.u8(4),
		AppLimited:       v.u8(7)&1 != 0, // bit fields: scales in byte 6, then this
		RTO:              v.micros(8),
		ATO:              v.micros(12),
		SndMSS:           v.u32(16),
		RcvMSS:           v.u32(20),
		Unacked:          v.u32(24),
		Sacked:           v.u32(28),
		Lost:             v.u32(32),
		Retrans:          v.u32(36),
		LastDataSent:     v.millis(44),
		LastDataReceived: v.millis(52),
		LastAckReceived:  v.millis(56),
		PathMTU:          v.u32(60),
		RTT:              v.micros(68),
		RTTVar:           v.micros(72),
		SndSsthresh:      v.u32(76),
		SndCwnd:          v.u32(80),
		Reordering:       v.u32(88),
		RcvRTT:           v.micros(92),
		RcvSpace:         v.u32(96),
		TotalRetrans:     v.u32(100),
		PacingRate:       v.u64(104),
		BytesAcked:       v.u64(120),
		BytesReceived:    v.u64(128),
		SegsOut:          v.u32(136),
		SegsIn:           v.u32(140),
		NotSent:          v.u32(144),
		MinRTT:           v.micros(148),
		DataSegsIn:       v.u32(152),
		DataSegsOut:      v.u32(156),
		DeliveryRate:     v.u64(160),
		BusyTime:         time.Duration(v.u64(168)) * time.Microsecond,
		RwndLimited:      time.Duration(v.u64(176)) * time.Microsecond,
		SndbufLimited:    time.Duration(v.u64(184)) * time.Microsecond,
		Delivered:        v.u32(192),
		DeliveredCE:      v.u32(196),
		BytesSent:        v.u64(200),
		BytesRetrans:     v.u64(208),
		DSACKDups:        v.u32(216),
		ReorderSeen:      v.u32(220),
		RcvOutOfOrder:    v.u32(224),
		SndWnd:           v.u32(228),
		RcvWnd:           v.u32(232),
	}
}
