//go:build linux

package interop_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/tcp"
)

// halfCloser is a connection whose directions end one by one.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// stream is bytes that tell every misplaced piece, and their sum.
type stream struct {
	rnd  *rand.ChaCha8
	left int
	sum  hash.Hash
}

func newStream(seed byte, n int) *stream {
	return &stream{rand.NewChaCha8([32]byte{seed}), n, sha256.New()}
}

func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(len(b), s.left)
	s.rnd.Read(b[:n])
	s.sum.Write(b[:n])
	s.left -= n
	return n, nil
}

// flow sends n bytes from one end to the other and ends the direction. The
// result comes when the receiver has read to the end: nil if that gave the
// bytes that were sent.
func flow(from, to halfCloser, n int) <-chan error {
	s := newStream(byte(n), n)
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{from}, struct{ io.Reader }{s}, make([]byte, 256<<10))
		if err == nil {
			err = from.CloseWrite()
		}
		sent <- err
	}()
	done := make(chan error, 1)
	go func() {
		sum := sha256.New()
		got, err := io.CopyBuffer(sum, struct{ io.Reader }{to}, make([]byte, 256<<10))
		if err != nil {
			done <- fmt.Errorf("receiver, after %d of %d bytes: %w", got, n, err)
			return
		}
		if err := <-sent; err != nil {
			done <- fmt.Errorf("sender: %w", err)
			return
		}
		if !bytes.Equal(sum.Sum(nil), s.sum.Sum(nil)) {
			done <- fmt.Errorf("received %d bytes that are not the %d sent", got, n)
			return
		}
		done <- nil
	}()
	return done
}

// exchange sends n bytes each way at the same time, ends both directions,
// closes both ends and waits until both are gone.
func (r *rig) exchange(ours *host.Conn, theirs *kernel.Conn, n int) {
	r.t.Helper()
	r.exchangeUneven(ours, theirs, n, n+1)
}

// exchangeUneven is exchange with there bytes to the peer and back bytes to
// Braid.
func (r *rig) exchangeUneven(ours *host.Conn, theirs *kernel.Conn, there, back int) {
	r.t.Helper()
	deadline := time.Now().Add(wait)
	ours.SetDeadline(deadline)
	theirs.SetDeadline(deadline)
	one, other := flow(ours, theirs, there), flow(theirs, ours, back)
	if err := errors.Join(<-one, <-other); err != nil {
		r.t.Fatalf("%v\n%s", err, r.state(ours, theirs))
	}
	if err := errors.Join(ours.Close(), theirs.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("both ends are gone", func() bool {
		return r.peer.Counters()["TcpCurrEstab"] == 0 && over(ours)
	})
}

// state describes a connection as both ends see it, for messages.
func (r *rig) state(ours *host.Conn, theirs *kernel.Conn) string {
	r.t.Helper()
	var b strings.Builder
	info := ours.Info()
	fmt.Fprintf(&b, "Braid: written %d, acknowledged %d, %+v\n", info.BytesWritten, info.BytesAcked, info.Stats)
	for _, sf := range info.Subflows {
		fmt.Fprintf(&b, "\t%v-%v %v up=%v stale=%v backup=%v/%v in flight %d, sent %d, acked %d, received %d, timeouts %d, cwnd %d\n",
			sf.Local, sf.Remote, sf.State, sf.Established, sf.Stale, sf.Backup, sf.PeerBackup,
			sf.InFlight, sf.BytesSent, sf.BytesAcked, sf.BytesReceived, sf.Timeouts, sf.CongestionWindow)
	}
	if full, err := theirs.FullInfo(); err == nil {
		fmt.Fprintf(&b, "peer: to be acknowledged %d, retransmits %d\n", full.WriteSeq-full.SndUna, full.Retransmits)
		for _, sf := range full.Subflows {
			fmt.Fprintf(&b, "\t%v-%v %v unacked %d, not sent %d, window %d, cwnd %d, backoff %d, received %d\n", sf.Local, sf.Remote,
				sf.TCP.State, sf.TCP.Unacked, sf.TCP.NotSent, sf.TCP.SndWnd, sf.TCP.SndCwnd, sf.TCP.Backoff, sf.TCP.BytesReceived)
		}
	}
	fmt.Fprintf(&b, "counters: %s", inWords(r.peer.Counters().Since(nil)))
	return b.String()
}

// over reports whether nothing of the connection is left that has to be said.
func over(c *host.Conn) bool {
	for _, sf := range c.Info().Subflows {
		if sf.State != tcp.StateTimeWait && sf.State != tcp.StateClosed {
			return false
		}
	}
	return true
}

// ping sends one byte each way, after which both ends know that the other is
// Multipath TCP (RFC 8684 section 3.1).
func ping(t testing.TB, a, b net.Conn) {
	t.Helper()
	for _, c := range [][2]net.Conn{{a, b}, {b, a}} {
		if _, err := c[0].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		c[1].SetReadDeadline(time.Now().Add(wait))
		if _, err := io.ReadFull(c[1], make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		c[1].SetReadDeadline(time.Time{})
	}
}

// talk sends n bytes each way at the same time, and leaves the connection open.
func talk(t testing.TB, a, b net.Conn, n int) {
	t.Helper()
	deadline := time.Now().Add(wait)
	done := make(chan error, 4)
	for i, c := range [][2]net.Conn{{a, b}, {b, a}} {
		s := newStream(byte(n+i), n)
		sent := make(chan []byte, 1)
		go func() {
			c[0].SetWriteDeadline(deadline)
			_, err := io.CopyBuffer(struct{ io.Writer }{c[0]}, struct{ io.Reader }{s}, make([]byte, 256<<10))
			sent <- s.sum.Sum(nil)
			done <- err
		}()
		go func() {
			c[1].SetReadDeadline(deadline)
			sum := sha256.New()
			got, err := io.CopyN(sum, c[1], int64(n))
			if err != nil {
				err = fmt.Errorf("after %d of %d bytes: %w", got, n, err)
			} else if !bytes.Equal(sum.Sum(nil), <-sent) {
				err = errors.New("bytes received are not those sent")
			}
			done <- err
		}()
	}
	if err := errors.Join(<-done, <-done, <-done, <-done); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Time{})
	}
}

// echo sends back what it reads, to the end.
func echo(c halfCloser) error {
	defer c.Close()
	if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	return c.CloseWrite()
}

// echoed sends n bytes and wants them back.
func echoed(c halfCloser, n int) error {
	defer c.Close()
	s := newStream(byte(n), n)
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(struct{ io.Writer }{c}, s)
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	sum := sha256.New()
	got, err := io.Copy(sum, struct{ io.Reader }{c})
	if err != nil {
		return fmt.Errorf("after %d of %d bytes came back: %w", got, n, err)
	}
	if err := <-sent; err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), s.sum.Sum(nil)) {
		return fmt.Errorf("%d bytes came back that are not the %d sent", got, n)
	}
	return nil
}
