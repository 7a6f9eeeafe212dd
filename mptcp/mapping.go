package mptcp

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// mapping is a received DSS mapping: where bytes of the subflow belong in the
// stream (RFC 8684 section 3.3.1).
type mapping struct {
	ssn    seq.Range // of payload bytes; a DATA_FIN is not counted
	data   seq.Pos   // of the first
	fin    bool
	check  bool // a checksum was negotiated
	sum    uint16
	staged bool // its bytes go by way of staged and are moved when complete
	moved  bool
}

// mapList holds mappings in the order of their subflow positions.
type mapList struct{ list []mapping }

func (l *mapList) clear() { l.list = nil }

// at gives the mapping that holds p, or nil and where the next one begins (or
// limit if none does).
func (l *mapList) at(p, limit seq.Pos) (*mapping, seq.Pos) {
	i, _ := slices.BinarySearchFunc(l.list, p, func(m mapping, p seq.Pos) int {
		if m.ssn.Hi <= p {
			return -1
		}
		return 1
	})
	switch {
	case i == len(l.list):
		return nil, limit
	case p < l.list[i].ssn.Lo:
		return nil, min(limit, l.list[i].ssn.Lo)
	}
	return &l.list[i], min(limit, l.list[i].ssn.Hi)
}

func (l *mapList) covers(p seq.Pos) bool {
	m, _ := l.at(p, p+1)
	return m != nil
}

// add puts m in its place. A mapping once declared stays: what a later one
// says about the same bytes is ignored.
func (l *mapList) add(m mapping) bool {
	i := len(l.list)
	for i > 0 && l.list[i-1].ssn.Lo >= m.ssn.Hi {
		i--
	}
	if i > 0 && l.list[i-1].ssn.Hi > m.ssn.Lo {
		return false
	}
	if i > 0 && l.list[i-1].extend(&m) {
		return true
	}
	if len(l.list) >= maxHeldMappings {
		return false
	}
	l.list = slices.Insert(l.list, i, m)
	return true
}

// extend joins next to m if it is m's continuation, so that an ordinary bulk
// transfer holds one mapping however many arrive.
func (m *mapping) extend(next *mapping) bool {
	if m.check || m.staged || next.staged || m.ssn.Hi != next.ssn.Lo ||
		next.data-m.data != next.ssn.Lo-m.ssn.Lo {
		return false
	}
	m.ssn.Hi = next.ssn.Hi
	return true
}

// drop forgets mappings that lie wholly below p and were used.
func (l *mapList) drop(p seq.Pos) {
	n := 0
	for n < len(l.list) && l.list[n].ssn.Hi <= p && (!l.list[n].staged || l.list[n].moved) {
		n++
	}
	if n > 0 {
		l.list = slices.Delete(l.list, 0, n)
	}
}

// receivedDSS takes a DSS. False: the subflow was reset or the connection fell
// back.
func (sf *Subflow) receivedDSS(now time.Time, seg *wire.Segment, pos seq.Pos) bool {
	c := sf.conn
	d := &seg.Options.DSS
	if d.HasAck {
		sf.everAcked = true
		c.receivedDataAck(now, sf, seg)
	}
	if !d.HasMap || c.mode != modeMultipath {
		return c.mode == modeMultipath
	}
	data := seq.Unwrap32(c.in.Next(), uint32(c.peer.idsn), uint32(d.DSN))
	if d.DSN64 {
		data = seq.Unwrap64(c.peer.idsn, d.DSN)
		c.rcv.wide = true
	}
	if d.Len == 0 {
		return sf.receivedInfinite(now, d, pos, data)
	}
	if d.HasChecksum != c.checksum {
		return sf.checksumMissing(now)
	}
	n := seq.Pos(d.Len)
	if d.Fin {
		n--
		c.receivedDataFin(now, sf, data+n)
	}
	if n > 0 {
		lo := seq.Unwrap32(pos, 0, d.SSN)
		m := mapping{ssn: seq.Range{Lo: lo, Hi: lo + n}, data: data, fin: d.Fin, check: c.checksum, sum: d.Checksum}
		// It has to cover some of the segment that carries it.
		if m.ssn.Lo >= 1 && m.ssn.Lo < pos+seq.Pos(len(seg.Payload)) && m.ssn.Hi > pos {
			sf.addMapping(now, m)
		}
	}
	return true
}

// checksumMissing resets a subflow whose options do not keep what was
// negotiated: a checksum that should not be there, or one that is not (RFC
// 8684 section 3.3).
func (sf *Subflow) checksumMissing(now time.Time) bool {
	sf.reset(now, wire.ResetMPTCP, false)
	return false
}

func (sf *Subflow) addMapping(now time.Time, m mapping) {
	m.staged = m.check || sf.staged != nil && sf.staged.Holds(m.ssn)
	if !sf.maps.add(m) {
		return
	}
	sf.everMapped, sf.shift = true, m.data-m.ssn.Lo
	if m.staged && sf.staged != nil {
		sf.moveStaged(now)
	}
}

// Deliver takes bytes of the subflow: to their place in the stream when that
// is known and they need no checking, else to staged.
func (sf *Subflow) Deliver(now time.Time, pos seq.Pos, b stream.Piece) {
	c := sf.conn
	sf.stats.BytesReceived += uint64(b.Len())
	if c.mode == modeClosed || sf.tc.State() == tcp.StateClosed {
		return
	}
	if c.mode != modeMultipath {
		c.insert(now, pos+sf.shift, b)
		return
	}
	end := pos + seq.Pos(b.Len())
	for pos < end && sf.tc.State() != tcp.StateClosed {
		m, upTo := sf.maps.at(pos, end)
		piece := b.Cut(0, int(upTo-pos))
		if m == nil || m.staged {
			sf.stage(now, pos, piece)
		} else {
			c.insert(now, m.data+pos-m.ssn.Lo, piece)
		}
		b, pos = b.Cut(int(upTo-pos), b.Len()), upTo
	}
	if sf.staged != nil && pos == end {
		sf.moveStaged(now)
	}
}

// stage keeps bytes of the subflow for later. They are outside the
// connection's window accounting (RFC 8684 section 3.3.1): at most a window,
// since TCP took them, and the mapping before it that is not complete. A peer
// that leaves more than that without a mapping is given up.
func (sf *Subflow) stage(now time.Time, pos seq.Pos, b stream.Piece) {
	if sf.staged == nil {
		s := stream.NewRecv(sf.conn.host.Pool(), sf.conn.cfg.RecvBuffer+maxMapping)
		s.Skip(sf.tc.RcvNxt())
		sf.staged = &s
	}
	if sf.staged.InsertPiece(pos, b) < b.Len() {
		sf.reset(now, wire.ResetOutstanding, true)
	}
}

// maxMapping is the length of the longest mapping.
const maxMapping = 1<<16 - 1

// moveStaged moves bytes whose mapping is complete to the stream.
func (sf *Subflow) moveStaged(now time.Time) {
	for i := range sf.maps.list {
		m := &sf.maps.list[i]
		if !m.staged || m.moved || !sf.staged.Has(m.ssn) {
			continue
		}
		if m.check && !sf.verify(m) {
			sf.checksumFailed(now, m)
			return
		}
		m.moved = true
		sf.copyStaged(now, m.ssn, m.data-m.ssn.Lo)
		if sf.conn.mode != modeMultipath {
			return
		}
	}
}

// copyStaged gives the stream what staged has of rg.
func (sf *Subflow) copyStaged(now time.Time, rg seq.Range, shift seq.Pos) {
	for p := rg.Lo; p < rg.Hi && sf.conn.mode != modeClosed; { // insert may end it all
		b := sf.staged.Piece(p, int(rg.Hi-p))
		sf.conn.insert(now, p+shift, b)
		p += seq.Pos(b.Len())
	}
}

// verify computes the checksum of a complete mapping (RFC 8684 section 3.3.1).
func (sf *Subflow) verify(m *mapping) bool {
	length := uint16(m.ssn.Len())
	if m.fin {
		length++
	}
	dsn := seq.Wrap64(m.data, sf.conn.peer.idsn)
	return wire.DSSChecksum(dsn, uint32(m.ssn.Lo), length, sumOf(sf.staged, m.ssn)) == m.sum
}

// deliverStaged moves all that waits, when the connection has become plain.
func (sf *Subflow) deliverStaged(now time.Time) {
	sf.staged.Each(func(rg seq.Range) { sf.copyStaged(now, rg, sf.shift) })
	sf.staged.Clear()
	sf.staged = nil
}

// InOrder: all of the subflow's bytes below pos have come. Those of them that
// no mapping claims are waited for a little, then the path is judged.
func (sf *Subflow) InOrder(now time.Time, pos seq.Pos) {
	c := sf.conn
	if c.mode != modeMultipath {
		return
	}
	if sf.staged != nil {
		sf.skipStaged(now, pos)
	}
	sf.maps.drop(pos)
}

// skipStaged gives up the staged bytes below pos that were moved. Their
// mappings must still be there to tell them from bytes without one.
func (sf *Subflow) skipStaged(now time.Time, pos seq.Pos) {
	c := sf.conn
	keep := pos
	for i := range sf.maps.list {
		if m := &sf.maps.list[i]; m.staged && !m.moved {
			keep = min(keep, m.ssn.Lo)
			break
		}
	}
	if gap, ok := sf.unmapped(pos); ok {
		keep = min(keep, gap)
		if !c.timer.running(timerUnmapped) {
			c.timer.set(timerUnmapped, now, sf.tc.SRTT()+unmappedWait)
		}
	}
	sf.staged.Skip(keep)
}

// unmappedWait is how long bytes wait for their mapping beyond a round trip:
// less than a sender waits for a Data ACK, who must not send them once more to
// a receiver that has just fallen back.
const unmappedWait = 100 * time.Millisecond

// unmapped gives the first staged byte below pos that no mapping claims.
func (sf *Subflow) unmapped(pos seq.Pos) (seq.Pos, bool) {
	first, found := pos, false
	sf.staged.Each(func(rg seq.Range) {
		for p := rg.Lo; p < min(rg.Hi, first); {
			m, next := sf.maps.at(p, rg.Hi)
			if m == nil {
				first, found = p, true
				return
			}
			p = next
		}
	})
	return first, found
}

// unmappedTimeout judges subflows that delivered bytes whose mapping never came
// (RFC 8684 section 3.7).
func (c *Conn) unmappedTimeout(now time.Time) {
	for _, sf := range c.subflows {
		if sf.staged == nil || c.mode != modeMultipath || !sf.established() {
			continue
		}
		gap, ok := sf.unmapped(sf.tc.RcvNxt())
		switch {
		case !ok:
		case c.mayFallBack() && c.in.Ahead() == 0:
			c.enterPlain(now, sf, OptionsLost)
			return
		case c.in.Ahead() > 0 && !c.alternative(sf):
			// Mappings do come, but for one: its bytes will be missed at data
			// level, and sent again. There is no other path to do without this.
			_, next := sf.maps.at(gap, sf.tc.RcvNxt())
			sf.staged.Skip(next)
		default:
			sf.reset(now, wire.ResetMiddlebox, false)
		}
	}
}

// receivedInfinite: from here on the peer's bytes are the stream's in order
// (RFC 8684 section 3.7).
func (sf *Subflow) receivedInfinite(now time.Time, d *wire.DSS, pos, data seq.Pos) bool {
	c := sf.conn
	if c.began > 1 {
		sf.reset(now, wire.ResetMPTCP, false)
		return false
	}
	sf.shift = data - seq.Unwrap32(pos, 0, d.SSN)
	c.enterPlain(now, sf, PeerFellBack)
	return false
}

// checksumFailed: a middlebox changed the data (RFC 8684 section 3.7). With
// other subflows this one is reset and the data comes again elsewhere;
// alone, the connection becomes TCP, and gets what TCP would get.
func (sf *Subflow) checksumFailed(now time.Time, m *mapping) {
	c := sf.conn
	c.stats.ChecksumFailures++
	fail := failSignal{pending: true, dsn: seq.Wrap64(m.data, c.peer.idsn)}
	if c.mayFallBack() && c.in.Next() >= m.data && c.in.Ahead() == 0 {
		c.mpFail = fail
		sf.shift = m.data - m.ssn.Lo
		c.enterPlain(now, sf, ChecksumFailed)
		sf.tc.AckAlone()
		return
	}
	sf.fail = fail
	sf.reset(now, wire.ResetMiddlebox, true)
}

// receivedFail: the peer could not use what we sent from the given number on.
// It reports whether the connection is plain TCP now.
func (c *Conn) receivedFail(now time.Time, sf *Subflow, f wire.Fail) bool {
	if !c.mayFallBack() {
		return false // the reset that carries it does the rest
	}
	c.mpFail = failSignal{pending: true, dsn: f.DSN}
	c.enterPlain(now, sf, PeerFailed)
	sf.tc.AckAlone()
	return true
}

// HeldMappings is how many received mappings the subflow with most of them
// holds: the bytes they are for have not all come, or not been moved yet.
func (c *Conn) HeldMappings() int {
	n := 0
	for _, sf := range c.subflows {
		n = max(n, len(sf.maps.list))
	}
	return n
}
