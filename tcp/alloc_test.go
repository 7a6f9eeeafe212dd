package tcp

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// loop is two Streams joined without a network, for counting allocations.
type loop struct {
	t      *testing.T
	now    time.Time
	a, b   *Stream
	packet Packet
	seg    wire.Segment
	data   []byte
}

func newLoop(t *testing.T, cfg Config) *loop {
	pool := new(stream.Pool)
	buf := Buffers{Pool: pool, Send: 1 << 20, Recv: 1 << 20}
	tc := newTestConn(t, cfg)
	l := &loop{t: t, now: epoch, packet: tc.packet, data: make([]byte, 64<<10)}
	there, back := tc.cfg, tc.cfg
	back.Local, back.Remote, back.ISN = there.Remote, there.Local, 7
	l.a = ConnectStream(l.now, there, buf)
	if !l.a.Conn.Output(l.now, &l.packet) {
		t.Fatal("no SYN")
	}
	l.parse()
	l.b = AcceptStream(l.now, back, buf, &l.seg)
	l.exchange()
	if l.a.Conn.State() != StateEstablished || l.b.Conn.State() != StateEstablished {
		t.Fatal("no connection")
	}
	return l
}

func (l *loop) parse() {
	if err := wire.ParseSegment(l.packet.Bytes(), &l.seg, true); err != nil {
		l.t.Fatal(err)
	}
}

// exchange moves packets until neither has anything to say.
func (l *loop) exchange() {
	for moved := true; moved; {
		moved = l.move(l.a, l.b)
		moved = l.move(l.b, l.a) || moved
	}
}

func (l *loop) move(from, to *Stream) bool {
	moved := false
	for from.Conn.Output(l.now, &l.packet) {
		l.parse()
		to.Conn.Input(l.now, &l.seg, nil)
		moved = true
	}
	return moved
}

// transfer writes n bytes at one end and reads them at the other.
func (l *loop) transfer(from, to *Stream, n int) {
	l.now = l.now.Add(100 * time.Microsecond)
	if k, err := from.Write(l.now, l.data[:n]); k != n {
		l.t.Fatal(k, err)
	}
	for got := 0; got < n; {
		l.exchange()
		k, err := to.Read(l.now, l.data)
		if err != nil {
			l.t.Fatal(err)
		}
		got += k
	}
	l.exchange()
	for _, s := range []*Stream{from, to} {
		if at := s.Conn.NextTimeout(); !at.IsZero() && !at.After(l.now) {
			s.Conn.Advance(l.now)
		}
	}
}

// The hot path allocates nothing: sending, receiving and acknowledging a
// segment on an established connection, whichever way, small or large.
func TestNoAllocations(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		n    int
	}{
		{"one byte", Config{}, 1},
		{"one segment", Config{}, 1400},
		{"many segments", Config{}, 60000},
		{"a large segment", Config{MaxPacket: 65535}, 60000},
		{"no timestamps", Config{NoTimestamps: true}, 1400},
		{"IPv6", ipv6Config(), 1400},
		{"keep-alive", Config{KeepAlive: KeepAlive{Idle: time.Hour}}, 1400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLoop(t, tc.cfg)
			for range 100 { // the window grows, buffers find their size
				l.transfer(l.a, l.b, tc.n)
				l.transfer(l.b, l.a, tc.n)
			}
			if n := testing.AllocsPerRun(100, func() { l.transfer(l.a, l.b, tc.n) }); n > 0 {
				t.Errorf("%v allocations one way", n)
			}
			if n := testing.AllocsPerRun(100, func() { l.transfer(l.b, l.a, tc.n) }); n > 0 {
				t.Errorf("%v allocations the other way", n)
			}
		})
	}
}

// Losses allocate nothing either, once the queues have found their size.
func TestNoAllocationsUnderLoss(t *testing.T) {
	l := newLoop(t, Config{})
	lossy := func() {
		l.now = l.now.Add(time.Millisecond)
		l.a.Write(l.now, l.data[:14000])
		for i := 0; l.a.Conn.Output(l.now, &l.packet); i++ {
			if i%4 == 1 {
				continue // lost
			}
			l.parse()
			l.b.Conn.Input(l.now, &l.seg, nil)
			l.move(l.b, l.a)
		}
		for l.b.in.Readable() < 14000 {
			if at := l.a.Conn.NextTimeout(); at.After(l.now) {
				l.now = at
			}
			l.a.Conn.Advance(l.now)
			l.exchange()
		}
		l.b.Read(l.now, l.data)
		l.exchange()
	}
	for range 100 {
		lossy()
	}
	if n := testing.AllocsPerRun(100, lossy); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
