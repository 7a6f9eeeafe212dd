package stack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// FuzzStackInput plays segments that are nearly right, and much else, against a
// stack with everything in it: a connection of two subflows (or of one, or one
// that is just opening), a listener, a half-open connection, a half-open join
// and TIME-WAITs. After each step it checks what must always hold.
func FuzzStackInput(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomScript(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) { playFuzz(t, script) })
}

// TestRandomInput is the same for many seeds, each time the same.
func TestRandomInput(t *testing.T) {
	n := uint64(300)
	if testing.Short() {
		n = 30
	}
	for seed := range n {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { playFuzz(t, randomScript(seed)) })
	}
}

func randomScript(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 11))
	b := make([]byte, 50+r.IntN(3000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fuzzer is a script being played: its bytes decide everything, and zeros
// follow its end.
type fuzzer struct {
	*direct
	script []byte

	keys  [2]wire.Key // of client and server
	flows []*flow     // 4-tuples towards the server
	last  [][]byte    // packets that were sent to it, to be mangled

	ours, theirs *mptcp.Conn // the server's end and the client's
	one          bool        // it has one subflow, and may become plain TCP
	sent         []byte      // by the client's application
	got          []byte      // by the server's
	forged       bool        // data or what says where it belongs
	packets      int
}

// flow is a 4-tuple as somebody on the path sees it.
type flow struct {
	src, dst netip.AddrPort
	seq, ack uint32 // what comes next, towards the server
	iss, irs uint32
	dsn, dac uint64 // as last seen
	tsval    uint32
	tsecr    uint32
	window   uint16
	local    uint32 // nonces of a join
	remote   uint32
}

const (
	fuzzBacklog  = 16
	fuzzSubflows = 4
	fuzzBuffer   = 64 << 10
)

func playFuzz(t *testing.T, script []byte) {
	f := &fuzzer{script: script}
	f.setUp(t)
	for step := 0; len(f.script) > 0; step++ {
		f.step()
		f.checkAll(step)
	}
}

// setUp makes the stack that is attacked.
func (f *fuzzer) setUp(t *testing.T) {
	cfg := stack.Config{Conn: mptcp.Config{
		Checksum: f.byte()&3 == 0, SendBuffer: fuzzBuffer, RecvBuffer: fuzzBuffer,
		MaxSubflows: fuzzSubflows, TCP: tcp.Config{KeepAlive: tcp.KeepAlive{Idle: 20 * time.Second}},
	}}
	if f.byte()&1 == 0 {
		cfg.MaxPacket, cfg.ChecksumOffload = 65535, true
	}
	kind := int(f.byte() % 4)
	f.direct = newDirect(t, max(1, min(kind, 2)), cfg)
	f.tap = f.sniff
	switch kind {
	case 0: // opening
		c, err := f.client.Dial(f.now, netip.AddrPort{}, f.at, nil)
		f.check(err)
		f.theirs = c
	case 1: // one subflow
		f.theirs, f.ours = f.open(1)
	default:
		f.theirs, f.ours = f.open(2)
	}
	f.one = kind < 2
	if kind > 0 {
		f.sent = append(f.sent, make([]byte, 1000)...) // what open sent
		f.got = append(f.got, make([]byte, 1000)...)
		c, s := f.connect(netip.AddrPort{}) // one that will be in TIME-WAIT here
		s.Close(f.now)
		f.settle()
		c.Close(f.now)
		f.settle()
	}
	f.inject(&wire.Segment{Src: f.stranger(1), Dst: f.at, Flags: wire.SYN, Seq: 1}) // half open
	f.halfJoin(f.stranger(2))
}

func (f *fuzzer) stranger(i byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 9, i}), 1000+uint16(i))
}

func (f *fuzzer) halfJoin(from netip.AddrPort) {
	syn := wire.Segment{Src: from, Dst: f.at, Flags: wire.SYN, Seq: 77}
	syn.Options.Set = wire.HasJoin
	syn.Options.Join = wire.Join{ID: 9, Nonce: 5, Token: wire.Token(f.keys[1], wire.V1)}
	f.inject(&syn)
}

func (f *fuzzer) byte() byte {
	if len(f.script) == 0 {
		return 0
	}
	b := f.script[0]
	f.script = f.script[1:]
	return b
}

func (f *fuzzer) uint16() uint16 { return binary.BigEndian.Uint16([]byte{f.byte(), f.byte()}) }
func (f *fuzzer) uint32() uint32 { return uint32(f.uint16())<<16 | uint32(f.uint16()) }

// near gives a number close to x, or sometimes not at all.
func (f *fuzzer) near(x uint32) uint32 {
	switch b := f.byte(); b >> 5 {
	case 0, 1, 2, 3:
		return x
	case 4:
		return x + uint32(b&31)
	case 5:
		return x - uint32(b&31)
	case 6:
		return x + uint32(int16(f.uint16()))
	}
	return f.uint32()
}

// sniff looks at what passes, as an attacker on the path would.
func (f *fuzzer) sniff(toServer bool, pkt []byte) {
	var seg wire.Segment
	if wire.ParseSegment(pkt, &seg, true) != nil {
		return
	}
	src, dst := seg.Src, seg.Dst
	if !toServer {
		src, dst = dst, src
	}
	fl := f.flow(src, dst)
	o := &seg.Options
	if !toServer {
		fl.ack = seg.Seq + uint32(seg.Len())
		if seg.Flags.Has(wire.SYN) {
			fl.irs = seg.Seq
		}
		if o.Has(wire.HasTimestamps) {
			fl.tsecr = o.TSVal
		}
		if o.Has(wire.HasJoin) {
			fl.remote = o.Join.Nonce
		}
		if o.Has(wire.HasDSS) && o.DSS.HasAck {
			fl.dsn = o.DSS.Ack
		}
		return
	}
	if len(f.last) < 8 {
		f.last = append(f.last, nil)
	}
	i := int(seg.Seq+uint32(len(pkt))) % len(f.last)
	f.last[i] = append(f.last[i][:0], pkt...)
	fl.seq, fl.window = seg.Seq+uint32(seg.Len()), seg.Window
	if seg.Flags.Has(wire.SYN) {
		fl.iss = seg.Seq
	}
	if o.Has(wire.HasTimestamps) {
		fl.tsval = o.TSVal
	}
	if o.Has(wire.HasCapable) && o.Capable.Keys == 2 && f.keys[0] == 0 {
		f.keys = [2]wire.Key{o.Capable.SenderKey, o.Capable.ReceiverKey}
	}
	if o.Has(wire.HasJoin) {
		fl.local = o.Join.Nonce
	}
	if o.Has(wire.HasDSS) && o.DSS.HasAck {
		fl.dac = o.DSS.Ack
	}
}

func (f *fuzzer) flow(src, dst netip.AddrPort) *flow {
	for _, fl := range f.flows {
		if fl.src == src && fl.dst == dst {
			return fl
		}
	}
	fl := &flow{src: src, dst: dst, window: 1000}
	f.flows = append(f.flows, fl)
	return fl
}

func (f *fuzzer) step() {
	if f.ours == nil && f.accepted != nil {
		f.ours = f.accepted
	}
	switch b := f.byte(); b % 16 {
	case 0, 1:
		f.write(f.theirs, &f.sent)
	case 2:
		f.write(f.ours, nil)
	case 3:
		f.read()
	case 4, 5:
		f.round()
	case 6:
		f.sleep()
	case 7:
		f.mangle()
	case 8:
		f.icmp()
	case 9:
		f.act()
	default:
		f.forge()
	}
}

func (f *fuzzer) write(c *mptcp.Conn, sent *[]byte) {
	b := simtest.Pattern(int(f.uint16())%20000, uint64(f.byte()))
	if c == nil {
		return
	}
	n, _ := c.Write(f.now, b)
	if sent != nil {
		*sent = append(*sent, b[:n]...)
	}
	if f.byte()&1 == 0 {
		f.round()
	}
}

func (f *fuzzer) read() {
	var b [8 << 10]byte
	if f.ours == nil {
		return
	}
	n, _ := f.ours.Read(f.now, b[:1+int(f.uint16())%len(b)])
	f.got = append(f.got, b[:n]...)
	_, _ = f.theirs.Read(f.now, b[:])
}

func (f *fuzzer) sleep() {
	f.now = f.now.Add(time.Duration(1+f.byte()) * 100 * time.Millisecond >> (f.byte() & 7))
	f.round()
}

// act is something the server's application or administrator does.
func (f *fuzzer) act() {
	if f.ours == nil {
		return
	}
	switch f.byte() % 16 {
	case 0:
		f.ours.CloseWrite(f.now)
	case 1:
		f.theirs.CloseWrite(f.now)
	case 2:
		f.ours.SetBackup(f.now, simtest.ServerAddr(int(f.byte()&1)), f.byte()&1 == 0)
	case 3:
		_ = f.server.RemoveAddress(f.now, simtest.ServerAddr(1))
	case 4:
		_ = f.server.AddAddress(f.now, stack.Address{Addr: simtest.ServerAddr(1), Bits: 24, Flags: mptcp.EndpointSignal | mptcp.EndpointSubflow})
	case 5:
		if f.byte() > 200 {
			f.ours.Close(f.now)
		}
	case 6:
		if f.byte() > 200 {
			f.ours.Abort(f.now)
		}
	case 7:
		f.halfJoin(f.stranger(2 + f.byte()&7))
	}
}

// mangle plays back a packet with some bytes changed.
func (f *fuzzer) mangle() {
	if len(f.last) == 0 {
		return
	}
	pkt := bytes.Clone(f.last[int(f.byte())%len(f.last)])
	changes := int(f.byte() & 3)
	for range changes {
		// Rather among the headers than in the data.
		i := int(f.byte()) % 80
		if i < len(pkt) {
			pkt[i] = f.byte()
		}
	}
	if changes > 0 {
		f.forged = true
	}
	f.server.Input(f.now, pkt, wire.Offload{PartialChecksum: true})
}

func (f *fuzzer) icmp() {
	if len(f.last) == 0 {
		return
	}
	// About a packet of the server's: the addresses the other way round.
	fl := f.flows[int(f.byte())%len(f.flows)]
	orig := wire.AppendSegment(nil, &wire.Segment{Src: fl.dst, Dst: fl.src, Seq: f.near(fl.ack), Flags: wire.ACK, TTL: 9})
	from := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	var pkt []byte
	switch b := f.byte(); b & 3 {
	case 0:
		pkt = wire.AppendICMPUnreachable(nil, from, f.byte()&15, orig)
	case 1:
		pkt = wire.AppendICMPTimeExceeded(nil, from, orig)
	default:
		pkt = wire.AppendICMPTooBig(nil, from, int(f.uint16()), orig)
	}
	f.server.Input(f.now, pkt, wire.Offload{})
}

// forge sends the server, or now and then the client, a segment of some flow
// or of a new one.
func (f *fuzzer) forge() {
	fl := *f.flows[int(f.byte())%len(f.flows)]
	toClient := f.byte()&3 == 0
	if toClient {
		fl = fl.reversed()
		f.keys[0], f.keys[1] = f.keys[1], f.keys[0]
		defer func() { f.keys[0], f.keys[1] = f.keys[1], f.keys[0] }()
	}
	seg := wire.Segment{Src: fl.src, Dst: fl.dst, TTL: 64, Window: fl.window}
	switch f.byte() % 8 {
	case 0:
		seg.Src = f.stranger(f.byte() & 15)
	case 1:
		seg.Dst = netip.AddrPortFrom(simtest.ServerAddr(int(f.byte()&1)), f.at.Port())
	}
	seg.Flags = [...]wire.Flags{wire.ACK, wire.ACK, wire.ACK | wire.PSH, wire.SYN, wire.SYN | wire.ACK,
		wire.FIN | wire.ACK, wire.RST, wire.RST | wire.ACK, wire.FIN, 0, wire.URG | wire.ACK,
		wire.SYN | wire.FIN, wire.ACK, wire.ACK, wire.ACK, wire.ACK}[f.byte()&15]
	if seg.Flags.Has(wire.RST) && f.byte() < 200 {
		seg.Flags = wire.ACK // or nothing would live for long
	}
	seg.Seq, seg.Ack = f.near(fl.seq), f.near(fl.ack)
	if f.byte() > 200 {
		seg.Window = f.uint16()
	}
	if b := f.byte(); b > 100 {
		seg.Payload = make([]byte, int(b)*int(f.byte())%3000)
	}
	f.options(&fl, &seg)
	f.forged = f.forged || f.one || len(seg.Payload) > 0 || seg.Options.Any(wire.HasFail|wire.HasCapable|wire.HasDSS)
	if toClient {
		f.client.Input(f.now, wire.AppendSegment(nil, &seg), wire.Offload{})
		return
	}
	f.inject(&seg)
}

// reversed is the flow as the client's segments answer it.
func (fl flow) reversed() flow {
	fl.src, fl.dst, fl.seq, fl.ack, fl.iss, fl.irs = fl.dst, fl.src, fl.ack, fl.seq, fl.irs, fl.iss
	fl.dsn, fl.dac, fl.tsval, fl.tsecr, fl.local, fl.remote = fl.dac, fl.dsn, fl.tsecr, fl.tsval, fl.remote, fl.local
	return fl
}

// options gives seg options that are right, or nearly.
func (f *fuzzer) options(fl *flow, seg *wire.Segment) {
	o := &seg.Options
	if f.byte() < 180 {
		o.Set |= wire.HasTimestamps
		o.TSVal, o.TSEcr = f.near(fl.tsval), f.near(fl.tsecr)
	}
	if seg.Flags.Has(wire.SYN) {
		o.Set |= wire.HasMSS | wire.HasSACKPermitted
		o.MSS = f.uint16()
	}
	before := *o
	for range f.byte() & 3 {
		f.option(fl, seg)
		if !o.Fits() {
			*o = before
			return
		}
		before = *o
	}
}

func (f *fuzzer) option(fl *flow, seg *wire.Segment) {
	o := &seg.Options
	wrong := f.byte() // bits that make HMACs and keys wrong
	if wrong < 200 {
		wrong = 0
	}
	switch f.byte() % 16 {
	case 0:
		o.Set |= wire.HasSACK
		o.SACKLen = 1 + int(f.byte()&3)
		for i := range o.SACKLen {
			o.SACK[i] = wire.SACKBlock{Left: f.near(fl.ack), Right: f.near(fl.ack + 1000)}
		}
	case 1:
		o.Set |= wire.HasCapable
		o.Capable = wire.Capable{
			Version: 1, Flags: wire.CapableHMAC, Keys: f.byte() % 3, SenderKey: f.keys[0], ReceiverKey: f.keys[1] ^ wire.Key(wrong),
			HasData: f.byte()&1 == 0, DataLen: f.uint16(), HasChecksum: f.byte()&1 == 0,
		}
		if o.Capable.Keys < 2 {
			o.Capable.HasData = false
		}
		o.Capable.HasChecksum = o.Capable.HasChecksum && o.Capable.HasData
	case 2, 3:
		o.Set |= wire.HasJoin
		o.Join = wire.Join{
			Form: wire.JoinForm(f.byte() % 3), ID: f.byte() & 7, Nonce: f.uint32(), Backup: wrong&1 == 1,
			Token: wire.Token(f.keys[1], wire.V1) ^ uint32(wrong),
			HMAC:  wire.JoinHMAC(f.keys[0], f.keys[1], fl.local, fl.remote, wire.V1),
		}
		o.Join.HMAC[0] ^= wrong
	case 4:
		o.Set |= wire.HasAddAddr
		a := wire.AddAddr{Version: 1, Echo: f.byte()&1 == 0, ID: f.byte() & 7, Addr: f.stranger(f.byte()).Addr(), Port: f.uint16()}
		a.HMAC = wire.AddAddrHMAC(f.keys[0], f.keys[1], &a)
		a.HMAC[0] ^= wrong
		o.AddAddr[0], o.AddAddrLen = a, 1
	case 5:
		o.Set |= wire.HasRemoveAddr
		o.RemoveAddr.Len = 1 + int(f.byte()&3)
		for i := range o.RemoveAddr.Len {
			o.RemoveAddr.IDs[i] = f.byte() & 7
		}
	case 6:
		o.Set |= wire.HasPrio
		o.Prio = wire.Prio{Backup: wrong == 0}
	case 7:
		o.Set |= wire.HasFail
		o.Fail = wire.Fail{DSN: fl.dsn + uint64(f.byte())}
	case 8:
		if wrong == 0 && f.byte() < 200 {
			return
		}
		o.Set |= wire.HasFastClose
		o.FastClose = wire.FastClose{ReceiverKey: f.keys[1] ^ wire.Key(wrong)}
	case 9:
		o.Set |= wire.HasReset
		o.Reset = wire.Reset{Reason: wire.ResetReason(f.byte() & 7), Transient: wrong == 0}
	default:
		f.dss(fl, seg)
	}
}

func (f *fuzzer) dss(fl *flow, seg *wire.Segment) {
	seg.Options.Set |= wire.HasDSS
	flags := f.byte()
	d := &seg.Options.DSS
	*d = wire.DSS{
		HasAck: flags&1 != 0, Ack64: flags&2 != 0, HasMap: flags&4 != 0, DSN64: flags&8 != 0,
		Fin: flags&0x30 == 0x30, HasChecksum: flags&0xc0 == 0xc0,
	}
	if d.HasAck {
		d.Ack = fl.dac&^0xffffffff | uint64(f.near(uint32(fl.dac)))
	}
	if !d.HasMap {
		d.HasChecksum, d.DSN64, d.Fin = false, false, false
		return
	}
	d.DSN = fl.dsn&^0xffffffff | uint64(f.near(uint32(fl.dsn)))
	if d.SSN = f.near(seg.Seq - fl.iss); f.byte() < 20 {
		d.SSN = 0
	}
	if d.Len = uint16(f.near(uint32(len(seg.Payload)))); f.byte() < 20 {
		d.Len = 1
	}
}

// inject gives the server a segment whose checksum is right.
func (f *fuzzer) inject(seg *wire.Segment) {
	if seg.TTL == 0 {
		seg.TTL, seg.Window = 64, 1000
	}
	pkt := wire.AppendSegment(nil, seg)
	f.sniffForged(pkt)
	f.server.Input(f.now, pkt, wire.Offload{})
	if f.byte()&1 == 0 {
		f.round()
	}
}

// sniffForged makes a flow known that begins with a forged segment.
func (f *fuzzer) sniffForged(pkt []byte) {
	var seg wire.Segment
	if wire.ParseSegment(pkt, &seg, true) == nil && seg.Flags&(wire.SYN|wire.ACK) == wire.SYN && len(f.flows) < 64 {
		f.sniff(true, pkt)
	}
}

// checkAll is what must hold after every step.
func (f *fuzzer) checkAll(step int) {
	for i, s := range []*stack.Stack{f.client, f.server} {
		for n := 0; ; n++ {
			if n > 100_000 {
				f.t.Fatalf("step %d: stack %d never ends to send", step, i)
			}
			to := [2]*stack.Stack{f.server, f.client}[i]
			in := f.in[to]
			size, off, ok := f.output(s, in.Mem)
			if !ok {
				break
			}
			if f.packets++; f.packets%7 != 0 { // the others are lost
				f.sniff(i == 0, in.Mem[:size])
				to.InputBuffer(f.now, in.Mem[:size], off, in)
				f.in[to] = in.Renew()
			}
		}
		f.events(s)
		for n := 0; ; n++ {
			at := s.NextTimeout()
			if at.IsZero() || at.After(f.now) {
				break
			}
			if n > 1000 {
				f.t.Fatalf("step %d: stack %d has a timer that is always due", step, i)
			}
			s.Advance(f.now)
		}
		st := s.Stats()
		most := (st.Connections + 2) * (4*fuzzBuffer + fuzzSubflows*2*fuzzBuffer)
		if st.BufferBytes > most {
			f.t.Fatalf("step %d: stack %d holds %d bytes for %d connections and what nobody has read", step, i, st.BufferBytes, st.Connections)
		}
		if st.Subflows > st.Connections*fuzzSubflows {
			f.t.Fatalf("step %d: stack %d has %d subflows in %d connections", step, i, st.Subflows, st.Connections)
		}
		s.Conns(func(c *mptcp.Conn) {
			if n := c.HeldMappings(); n > fuzzBuffer {
				f.t.Fatalf("step %d: stack %d holds %d mappings", step, i, n)
			}
			_ = c.Info(f.now)
		})
	}
	if !f.forged && !bytes.HasPrefix(f.sent, f.got) {
		f.t.Fatalf("step %d: the server got what the client did not send", step)
	}
}
