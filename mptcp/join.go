package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Additional subflows (RFC 8684 section 3.2).

// JoinError is why a join was refused, with the reason code for the peer.
type JoinError struct{ Reason wire.ResetReason }

func (e *JoinError) Error() string { return "mptcp: join refused: " + e.Reason.String() }
func (e *JoinError) Unwrap() error { return ErrJoin }

// CheckJoin says whether a SYN with MP_JOIN for this connection would be
// taken.
func (c *Conn) CheckJoin(now time.Time, syn *wire.Segment) error {
	switch {
	case c.mode != modeMultipath || !c.peer.known:
		return &JoinError{wire.ResetMPTCP}
	case c.isFull(now) && !c.makeRoom(now):
		return &JoinError{wire.ResetNoResources}
	}
	return nil
}

// TCPConfig is what every subflow of the connection begins with.
func (c *Conn) TCPConfig() tcp.Config { return c.cfg.TCP }

// AcceptJoin begins a subflow the peer opens. CheckJoin came first; tcpCfg is
// TCPConfig and what Host.Open fills in.
func (c *Conn) AcceptJoin(now time.Time, tcpCfg tcp.Config, syn *wire.Segment) *Subflow {
	tcpCfg.MaxWindow = c.cfg.RecvBuffer
	j := &syn.Options.Join
	sf := c.newSubflow(false)
	sf.join = joinSYNReceived
	sf.remoteID, sf.peerNonce, sf.peerBackup = j.ID, j.Nonce, j.Backup
	sf.localNonce = uint32(c.host.Rand())
	sf.localID = c.pm.localID(c, syn.Dst.Addr())
	sf.backup = c.pm.isBackup(c, syn.Dst.Addr())
	c.pm.learn(sf.remoteID, netip.AddrPortFrom(syn.Src.Addr(), 0))
	sf.tc = tcp.Accept(now, tcpCfg, sf, syn)
	c.add(sf)
	return sf
}

// openJoin begins a subflow of ours.
func (c *Conn) openJoin(now time.Time, local Endpoint, remote netip.AddrPort, remoteID uint8) error {
	sf := c.newSubflow(false)
	sf.ours = true
	sf.join = joinSYNSent
	sf.localID, sf.remoteID = c.pm.localID(c, local.Addr), remoteID
	sf.localNonce = uint32(c.host.Rand())
	sf.backup = local.Flags&EndpointBackup != 0
	cfg := c.cfg.TCP
	cfg.SynRetries = joinSYNRetries
	if err := c.host.Open(now, sf, netip.AddrPortFrom(local.Addr, 0), remote, &cfg); err != nil {
		return err
	}
	sf.tc = tcp.Connect(now, cfg, sf)
	c.add(sf)
	return nil
}

// joinSYNRetries is how long an attempt to add a path goes on: some 7 s.
const joinSYNRetries = 2

// optionsJoinSYN is MP_JOIN on a SYN (12 bytes) or SYN/ACK (16 bytes).
func (sf *Subflow) optionsJoinSYN(seg *wire.Segment, reply bool) {
	c := sf.conn
	j := wire.Join{Backup: sf.backup, ID: sf.localID, Nonce: sf.localNonce, Token: c.peer.token}
	if reply {
		j.Form = wire.JoinSYNACK
		j.HMAC = sf.hmacOurs()
	}
	seg.Options.Set |= wire.HasJoin
	seg.Options.Join = j
}

// hmacOurs proves our knowledge of both keys, hmacPeer is what the peer's
// proof has to be.
func (sf *Subflow) hmacOurs() [20]byte {
	c := sf.conn
	return wire.JoinHMAC(c.local.key, c.peer.key, sf.localNonce, sf.peerNonce, wire.V1)
}

func (sf *Subflow) hmacPeer() [20]byte {
	c := sf.conn
	return wire.JoinHMAC(c.peer.key, c.local.key, sf.peerNonce, sf.localNonce, wire.V1)
}

// receivedJoinSYNACK takes the answer to our join. A subflow never falls back:
// without a valid MP_JOIN it is reset.
func (sf *Subflow) receivedJoinSYNACK(now time.Time, seg *wire.Segment) bool {
	j := &seg.Options.Join
	if seg.Options.Has(wire.HasJoin) && j.Form == wire.JoinSYNACK {
		sf.peerNonce, sf.peerBackup, sf.remoteID = j.Nonce, j.Backup, j.ID
		if want := sf.hmacPeer(); wire.EqualHMAC(want[:8], j.HMAC[:8]) {
			return true
		}
	}
	sf.refuse(now, seg)
	return false
}

// refuse resets a subflow whose SYN/ACK was no good. There is no connection yet
// for a reset to end, so it names the numbers of the segment it answers.
func (sf *Subflow) refuse(now time.Time, seg *wire.Segment) {
	sf.resetSent = resetInfo{is: true, reason: wire.ResetMPTCP}
	sf.tc.Refuse(now, seg)
}

// Crosses reports whether seg opens the path that this subflow, still waiting
// for its answer, is opening from our side.
func (sf *Subflow) Crosses(seg *wire.Segment) bool {
	return sf.join == joinSYNSent && seg.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN && seg.Options.Has(wire.HasJoin)
}

// GiveWay settles two joins that crossed on one 4-tuple. A simultaneous open
// has no place for the HMACs of section 3.2, so that both would fail; the
// standard leaves it open. The initiator of the connection goes on with its own
// join, the other end gives its own up. It reports whether that is us, and seg
// now is the SYN of a new subflow.
func (sf *Subflow) GiveWay(now time.Time) bool {
	if sf.conn.initiator {
		return false
	}
	c := sf.conn
	sf.tc.Abort(now)
	c.subflows = slices.DeleteFunc(c.subflows, func(o *Subflow) bool { return o == sf })
	c.host.Close(now, sf)
	return true
}

// receivedJoinThird takes the third ACK of a join, with the initiator's proof.
func (sf *Subflow) receivedJoinThird(now time.Time, seg *wire.Segment) bool {
	j := &seg.Options.Join
	if seg.Options.Has(wire.HasJoin) && j.Form == wire.JoinACK {
		if want := sf.hmacPeer(); wire.EqualHMAC(want[:], j.HMAC[:]) {
			return true
		}
	}
	sf.reset(now, wire.ResetMPTCP, false)
	return false
}

// sendJoinAck sends the third ACK, again and again until something answers it.
func (sf *Subflow) sendJoinAck(now time.Time) {
	sf.joinAcks++
	sf.tc.AckAlone()
	c := sf.conn
	wait := sf.tc.RTO() << (sf.joinAcks - 1)
	if at := now.Add(wait); !c.timer.running(timerJoinAck) || at.Before(c.timer[timerJoinAck]) {
		c.timer[timerJoinAck] = at
	}
}

func (c *Conn) joinAckTimeout(now time.Time) {
	for _, sf := range c.subflows {
		if sf.join != joinPreEstablished || !sf.tc.State().Open() {
			continue
		}
		if sf.joinAcks > joinAckRetries {
			sf.reset(now, wire.ResetMPTCP, true)
			continue
		}
		sf.sendJoinAck(now)
	}
}

// optionsJoinAck is MP_JOIN on the third ACK.
func (sf *Subflow) optionsJoinAck(seg *wire.Segment) {
	seg.Options.Set |= wire.HasJoin
	seg.Options.Join = wire.Join{Form: wire.JoinACK, HMAC: sf.hmacOurs()}
}
