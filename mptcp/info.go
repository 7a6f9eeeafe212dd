package mptcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Stats counts what a connection did at data level.
type Stats struct {
	BytesReceived    uint64 // each byte once
	BytesDuplicate   uint64 // came again, on another subflow or too late
	BytesReinjected  uint64 // sent again on another subflow, as a remedy or because all are
	JoinsDone        uint64
	JoinsFailed      uint64 // begun by either end, and never got to carry data
	AddAddrSent      uint64
	AddAddrReceived  uint64
	BadAddAddr       uint64 // wrong HMAC: forged or stale
	BadFastClose     uint64 // wrong key
	ChecksumFailures uint64
}

// SubflowStats counts what a subflow did beyond its TCP.
type SubflowStats struct {
	BytesReceived   uint64 // payload, out of order or not
	BytesReinjected uint64 // of those sent: what another subflow carried first
	Stalls          uint64 // times it was taken for dead
	SegmentsSent    uint64
}

// Info is a snapshot of a connection. Sizes are bytes.
type Info struct {
	Multipath               bool // it speaks Multipath TCP now
	Version                 int  // of Multipath TCP; 0 in plain TCP
	Fallback                FallbackReason
	Initiator               bool
	Checksum                bool      // DSS checksums are on
	Scheduler               Scheduler // SchedulerUnset in plain TCP
	LocalToken, RemoteToken uint32
	BytesWritten            uint64 // by the application
	BytesAcked              uint64 // at data level
	SendBuffer, RecvBuffer  int    // as grown so far
	Stats                   Stats
	Subflows                []SubflowInfo
	Err                     error
}

// SubflowInfo is a snapshot of one subflow. Sizes are bytes, rates bytes per
// second.
type SubflowInfo struct {
	ID                                                    int // ordinal in the connection
	Local, Remote                                         netip.AddrPort
	LocalID, RemoteID                                     uint8
	Initiator                                             bool // we opened it
	State                                                 tcp.State
	Established                                           bool // it is part of the connection
	Backup, PeerBackup                                    bool
	Stale                                                 bool // it makes no progress and gets no new data
	RTT, RTTVar, MinRTT, RTO                              time.Duration
	CongestionControl                                     string
	CongestionWindow, SlowStartThreshold                  int
	InFlight, SendWindow, MSS                             int
	DeliveryRate                                          float64
	BytesSent, BytesAcked, BytesReceived                  uint64
	BytesRetransmitted, BytesReinjected                   uint64
	SegmentsSent, SegmentsReceived, SegmentsRetransmitted uint64
	Losses, Timeouts, Stalls                              uint64
	Reset                                                 bool // it ended with an MP_TCPRST, ours or the peer's
	ResetReason                                           wire.ResetReason
	Err                                                   error // why it ended
}

// Info describes the connection as it is.
func (c *Conn) Info(now time.Time) Info {
	info := Info{
		Multipath: c.mode == modeMultipath || c.mode == modeClosed && !c.wasPlain && c.peer.known,
		Fallback:  c.fallback, Initiator: c.initiator, Checksum: c.checksum,
		BytesWritten: uint64(c.out.End() - 1), BytesAcked: uint64(min(c.snd.una, c.out.End()) - 1),
		SendBuffer: c.out.Limit(), RecvBuffer: c.in.Limit(), Stats: c.stats, Err: c.err,
	}
	if info.Multipath {
		info.Version, info.Scheduler = wire.V1, c.cfg.Scheduler
		info.LocalToken, info.RemoteToken = c.local.token, c.peer.token
	}
	for _, sf := range c.subflows {
		info.Subflows = append(info.Subflows, sf.Info(now))
	}
	return info
}

// Info describes the subflow as it is.
func (sf *Subflow) Info(now time.Time) SubflowInfo {
	t := sf.tc.Info()
	info := SubflowInfo{
		ID: sf.id, Local: sf.tc.LocalAddr(), Remote: sf.tc.RemoteAddr(),
		LocalID: sf.localID, RemoteID: sf.remoteID, Initiator: sf.openedByUs(),
		State: t.State, Established: sf.established(), Backup: sf.backup, PeerBackup: sf.peerBackup, Stale: sf.stale,
		RTT: t.SRTT, RTTVar: t.RTTVar, MinRTT: t.MinRTT, RTO: t.RTO,
		CongestionControl: t.CongestionControl, CongestionWindow: t.CongestionWindow,
		SlowStartThreshold: t.SlowStart, InFlight: t.InFlight, SendWindow: t.SendWindow, MSS: t.MSS,
		DeliveryRate: t.DeliveryRate, BytesSent: t.Stats.BytesSent, BytesAcked: t.Stats.BytesAcked,
		BytesReceived: sf.stats.BytesReceived, BytesRetransmitted: t.Stats.BytesRetransmitted,
		BytesReinjected: sf.stats.BytesReinjected, SegmentsSent: t.Stats.SegmentsSent,
		SegmentsReceived: t.Stats.SegmentsReceived, SegmentsRetransmitted: t.Stats.SegmentsRetransmitted,
		Losses: t.Stats.Losses, Timeouts: t.Stats.Timeouts, Stalls: sf.stats.Stalls, Err: sf.tc.Err(),
	}
	for _, r := range []resetInfo{sf.resetSent, sf.resetGot} {
		if r.is {
			info.Reset, info.ResetReason = true, r.reason
		}
	}
	return info
}

func (sf *Subflow) infoPtr(now time.Time) *SubflowInfo {
	i := sf.Info(now)
	return &i
}
