package stream

import (
	"bytes"
	"testing"

	"github.com/braid-mptcp/braid/seq"
)

// TestRecvLenient: bytes beyond the window are taken, up to as many as the
// buffer holds, and the window does not move for them.
func TestRecvLenient(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 300)
	for _, c := range []struct {
		name    string
		lenient bool
		at      int // bytes ahead of the first that is missing
		want    int
	}{
		{"strict, in order", false, 0, 100},
		{"strict, ahead", false, 50, 50},
		{"lenient, in order", true, 0, 200},
		{"lenient, ahead", true, 50, 150},
		{"lenient, all of it too far", true, 200, 0},
	} {
		r := NewRecv(nil, 100)
		r.Lenient = c.lenient
		if got := r.Insert(r.Next()+seq.Pos(c.at), data); got != c.want {
			t.Errorf("%s: took %d bytes, want %d", c.name, got, c.want)
		}
		if got := r.Edge(1); got != 101 {
			t.Errorf("%s: the window ends at %d, want 101", c.name, got)
		}
		if got := r.Offered(); got < 0 {
			t.Errorf("%s: %d bytes offered", c.name, got)
		}
	}
}
