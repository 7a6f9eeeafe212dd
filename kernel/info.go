package kernel

import (
	"net/netip"
	"time"
)

// Info is what MPTCP_INFO says of a connection (struct mptcp_info of
// linux/mptcp.h, by the newer of its names).
type Info struct {
	ExtraSubflows        uint8 // subflows besides the first
	AddAddrSignalled     uint8 // ADD_ADDRs sent
	AddAddrAccepted      uint8 // ADD_ADDRs received and taken
	LimitExtraSubflows   uint8
	EndpointSignalMax    uint8
	LimitAddAddrAccepted uint8
	Fallback             bool // the connection is TCP now
	RemoteKeyReceived    bool // the three-way handshake of MPTCP is complete
	Token                uint32
	WriteSeq             uint64 // data sequence number of the next byte written
	SndUna               uint64 // first data sequence number not acknowledged
	RcvNxt               uint64 // next data sequence number expected
	LocalAddrUsed        uint8
	EndpointSubflowMax   uint8
	ChecksumEnabled      bool

	// From Linux 6.5 on.
	Retransmits   uint32 // at data level, in packets
	BytesRetrans  uint64
	BytesSent     uint64
	BytesReceived uint64
	BytesAcked    uint64
	SubflowsTotal uint8 // established now, the first included

	// Newer still.
	EndpointLaminarMax  uint8
	EndpointFullmeshMax uint8
	LastDataSent        time.Duration // ago
	LastDataReceived    time.Duration // ago
	LastAckReceived     time.Duration // ago
}

// infoSize is the size of the longest struct mptcp_info this package knows.
const infoSize = 96

func decodeInfo(v view) Info {
	const (
		flagFallback          = 1
		flagRemoteKeyReceived = 2
	)
	flags := v.u32(8)
	return Info{
		ExtraSubflows:        v.u8(0),
		AddAddrSignalled:     v.u8(1),
		AddAddrAccepted:      v.u8(2),
		LimitExtraSubflows:   v.u8(3),
		EndpointSignalMax:    v.u8(4),
		LimitAddAddrAccepted: v.u8(5),
		Fallback:             flags&flagFallback != 0,
		RemoteKeyReceived:    flags&flagRemoteKeyReceived != 0,
		Token:                v.u32(12),
		WriteSeq:             v.u64(16),
		SndUna:               v.u64(24),
		RcvNxt:               v.u64(32),
		LocalAddrUsed:        v.u8(40),
		EndpointSubflowMax:   v.u8(41),
		ChecksumEnabled:      v.u8(42) != 0,
		Retransmits:          v.u32(44),
		BytesRetrans:         v.u64(48),
		BytesSent:            v.u64(56),
		BytesReceived:        v.u64(64),
		BytesAcked:           v.u64(72),
		SubflowsTotal:        v.u8(80),
		EndpointLaminarMax:   v.u8(81),
		EndpointFullmeshMax:  v.u8(82),
		LastDataSent:         v.millis(84),
		LastDataReceived:     v.millis(88),
		LastAckReceived:      v.millis(92),
	}
}

// Subflow is one TCP connection below an MPTCP connection.
type Subflow struct {
	ID            uint32 // counts the connection's subflows; 0 before Linux 6.6
	Local, Remote netip.AddrPort
	TCP           TCPInfo
}

// FullInfo is what MPTCP_FULL_INFO says: the connection and all its subflows,
// at one moment.
type FullInfo struct {
	Info
	Subflows []Subflow
}
