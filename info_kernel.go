package braid

import (
	"math"
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/tcp"
)

// kernelConn is a connection of the kernel's, whoever accepted it.
type kernelConn interface {
	net.Conn
	syscall.Conn
}

// kernelInfo says of a connection of the kernel's what the kernel tells. It
// does not tell why a connection is plain TCP (Fallback stays None), the peer's
// token, address IDs, who opened a subflow or which are backups, nor buffers;
// those fields are zero. Subflows that have ended are not in it. BytesWritten
// is what was sent, which leaves out what still waits in the send buffer, and
// is known from Linux 6.5 on.
func kernelInfo(c kernelConn) Info {
	full, err := kernel.FullInfoOf(c)
	if err == nil && !full.Fallback {
		info := Info{
			Multipath:    true,
			Version:      1, // Linux has no other
			Checksum:     full.ChecksumEnabled,
			LocalToken:   full.Token,
			BytesWritten: full.BytesSent,
			BytesAcked:   full.BytesAcked,
		}
		info.Stats.BytesReceived = full.BytesReceived
		info.Stats.BytesReinjected = full.BytesRetrans
		info.Stats.AddAddrSent = uint64(full.AddAddrSignalled)
		info.Stats.AddAddrReceived = uint64(full.AddAddrAccepted)
		for _, s := range full.Subflows {
			info.Subflows = append(info.Subflows, kernelSubflow(s))
		}
		return info
	}
	return plainInfo(c)
}

// plainInfo says of a connection that is plain TCP what the kernel tells.
func plainInfo(c kernelConn) Info {
	sf := kernel.Subflow{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	info := Info{}
	var err error
	if sf.TCP, err = kernel.TCPInfoOf(c); err != nil {
		info.Err = err
	}
	info.BytesWritten = sentOnce(&sf.TCP)
	info.BytesAcked = sf.TCP.BytesAcked
	info.Stats.BytesReceived = sf.TCP.BytesReceived
	info.Subflows = []SubflowInfo{kernelSubflow(sf)}
	return info
}

func kernelSubflow(s kernel.Subflow) SubflowInfo {
	t := &s.TCP
	mss := int(t.SndMSS)
	return SubflowInfo{
		ID: int(s.ID), Local: s.Local, Remote: s.Remote,
		State: tcpState(t.State), Established: t.State == kernel.Established,
		RTT: t.RTT, RTTVar: t.RTTVar, MinRTT: t.MinRTT, RTO: t.RTO,
		CongestionWindow: packets(t.SndCwnd, mss), SlowStartThreshold: packets(t.SndSsthresh, mss),
		InFlight: packets(t.Unacked-min(t.Unacked, t.Sacked+t.Lost)+t.Retrans, mss),
		// The rest has our units already.
		SendWindow: int(t.SndWnd), MSS: mss, DeliveryRate: float64(t.DeliveryRate),
		BytesSent: sentOnce(t), BytesAcked: t.BytesAcked, BytesReceived: t.BytesReceived,
		BytesRetransmitted: t.BytesRetrans, SegmentsSent: uint64(t.SegsOut), SegmentsReceived: uint64(t.SegsIn),
		SegmentsRetransmitted: uint64(t.TotalRetrans),
	}
}

// sentOnce gives the bytes that were sent, retransmissions not counted. What the
// host's own queue drops the kernel counts each time it tries, and not as a
// retransmission; so it cannot be more than what was acknowledged or still may
// be.
func sentOnce(t *kernel.TCPInfo) uint64 {
	sent := t.BytesSent - min(t.BytesSent, t.BytesRetrans)
	return min(sent, t.BytesAcked+uint64(packets(t.Unacked, int(t.SndMSS))))
}

// packets turns a number of packets into bytes. The kernel's "no threshold" is
// a very large number.
func packets(n uint32, mss int) int {
	if n >= math.MaxInt32 {
		return math.MaxInt
	}
	return int(min(int64(n)*int64(mss), math.MaxInt))
}

var tcpStates = map[kernel.TCPState]tcp.State{
	kernel.Established: tcp.StateEstablished, kernel.SynSent: tcp.StateSynSent,
	kernel.SynReceived: tcp.StateSynReceived, kernel.NewSynReceived: tcp.StateSynReceived,
	kernel.FinWait1: tcp.StateFinWait1, kernel.FinWait2: tcp.StateFinWait2,
	kernel.TimeWait: tcp.StateTimeWait, kernel.CloseWait: tcp.StateCloseWait,
	kernel.LastAck: tcp.StateLastAck, kernel.Closing: tcp.StateClosing,
}

// tcpState gives the kernel's state by our number; CLOSED for what has none.
func tcpState(s kernel.TCPState) tcp.State { return tcpStates[s] }
