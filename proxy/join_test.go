package proxy

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

// TestJoin: connections to any of the sockets are accepted, and none of them is
// forgotten when it is closed.
func TestJoin(t *testing.T) {
	var all []net.Listener
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	j := join(all)
	if j.Addr() != all[0].Addr() {
		t.Errorf("the address is %v, want %v", j.Addr(), all[0].Addr())
	}
	var got, want []string
	for _, l := range all {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := j.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		got, want = append(got, accepted.LocalAddr().String()), append(want, l.Addr().String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("accepted at %v, want %v", got, want)
	}

	// One that nobody has taken yet is closed too.
	waits, err := net.Dial("tcp", all[1].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	time.Sleep(20 * time.Millisecond)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("closing it twice: %v", err)
	}
	waits.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := waits.Read(make([]byte, 1)); err == nil || isDeadline(err) {
		t.Errorf("a connection that nobody took: %v, want it closed", err)
	}
	if _, err := j.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	for _, l := range all {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Errorf("%v still listens", l.Addr())
		}
	}
}

func isDeadline(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}
