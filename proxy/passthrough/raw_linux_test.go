package passthrough

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/kernel"
)

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// readByCalls is how many bytes this process has read by read(2) and its kin.
// Those that were spliced are not among them.
func readByCalls(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGigabyte sends a gigabyte each way, and looks whether it went past the
// process.
func TestGigabyte(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	ways := []way{plainWay()}
	if kernel.Supported() == nil {
		ways = append(ways, kernelWay())
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			block := make([]byte, 1<<20)
			newPattern(5).next(block)
			send := func(c halves) error {
				for range size / int64(len(block)) {
					if _, err := c.Write(block); err != nil {
						return err
					}
				}
				return c.CloseWrite()
			}
			receive := func(c halves) error {
				got := make([]byte, len(block))
				for at := int64(0); at < size; at += int64(len(got)) {
					if _, err := io.ReadFull(c, got); err != nil {
						return fmt.Errorf("behind the first %d bytes: %w", at, err)
					}
					if !bytes.Equal(got, block) {
						return fmt.Errorf("wrong bytes behind the first %d", at)
					}
				}
				if n, err := c.Read(got); n != 0 || err != io.EOF {
					return fmt.Errorf("%d bytes too many, %v", n, err)
				}
				return nil
			}
			sent := make(chan error, 1)
			to := service(t, plainWay(), func(c halves) {
				defer c.Close()
				if err := receive(c); err != nil {
					sent <- err
					return
				}
				sent <- send(c)
			})
			r := newRig(t, w, pool(t, plainWay().dial, to.String()), nil)
			before := readByCalls(t)
			c := r.connect()
			c.SetDeadline(time.Now().Add(5 * time.Minute))
			if err := send(c); err != nil {
				t.Fatal(err)
			}
			if err := receive(c); err != nil {
				t.Error(err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			c.Close()
			r.wantBytes(r.wantEnd(EndClosed), size, size)
			// Both ends are in this process and read all of it once.
			if proxied := readByCalls(t) - before - 2*size; proxied > size/10 {
				t.Errorf("%d bytes of %d were read by the proxy, want most of them spliced", proxied, 2*size)
			}
		})
	}
}

// TestResting: a connection at rest holds its two sockets and nothing else,
// also after it was busy.
func TestResting(t *testing.T) {
	const connections, size = 50, 4 << 20
	w := plainWay()
	to := service(t, w, func(c halves) {
		defer c.Close()
		c.Write(make([]byte, size))
		io.Copy(io.Discard, c)
	})
	r := newRig(t, w, pool(t, w.dial, to.String()), nil)
	before := openFiles(t)
	var conns []halves
	for range connections {
		c := r.connect()
		if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	// Of each connection both ends are here, on both sides of the proxy.
	limit := before + 4*connections + 2*sparePipes
	for end := time.Now().Add(patience); openFiles(t) > limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d files are open, want at most %d", openFiles(t), limit)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	for range connections {
		r.wantEnd(EndClosed)
	}
}

// TestClientGone: when the client breaks off, nobody goes on connecting for it.
func TestClientGone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(c halves)
		gone  bool
	}{
		{"reset", func(c halves) { c.SetLinger(0); c.Close() }, true},
		{"reset behind data", func(c halves) {
			io.WriteString(c, "data")
			time.Sleep(2 * gonePatience)
			c.SetLinger(0)
			c.Close()
		}, true},
		{"ends its direction", func(c halves) { io.WriteString(c, "data"); c.CloseWrite() }, false},
	} {
		for _, w := range []way{plainWay(), kernelWay()} {
			t.Run(tt.name+"/"+w.name, func(t *testing.T) {
				if w.name == "kernel" && kernel.Supported() != nil {
					t.Skip(kernel.Supported())
				}
				t.Parallel()
				echo := plainService(t, plainWay())
				var d net.Dialer
				canceled := make(chan error, 1)
				wait := 10 * gonePatience
				if tt.gone {
					wait = patience
				}
				p := pool(t, func(ctx context.Context, network, address string) (net.Conn, error) {
					select {
					case <-ctx.Done():
						canceled <- ctx.Err()
						return nil, ctx.Err()
					case <-time.After(wait):
						canceled <- nil
						return d.DialContext(ctx, network, address)
					}
				}, echo.String())
				r := newRig(t, w, p, nil)
				c := r.connect()
				tt.leave(c)
				err := <-canceled
				if tt.gone {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("dialling ended with %v, want it canceled", err)
					}
					if res := r.wantEnd(EndClient); !errors.Is(res.Err, ErrGone) {
						t.Errorf("the error is %v", res.Err)
					}
					return
				}
				if err != nil {
					t.Errorf("dialling ended with %v", err)
				}
				if got, err := io.ReadAll(c); err != nil || string(got) != "plain data" {
					t.Errorf("got %q, %v", got, err)
				}
				c.Close()
				r.wantEnd(EndClosed)
			})
		}
	}
}

// TestManyPipes: no more pipes are kept than should be, and only empty ones.
func TestManyPipes(t *testing.T) {
	// All pipes at once, more than are kept.
	var pipes []*pipe
	for range 2 * sparePipes {
		if p := takePipe(); p != nil {
			pipes = append(pipes, p)
		}
	}
	before := openFiles(t)
	var all sync.WaitGroup
	for _, p := range pipes {
		all.Go(p.giveBack)
	}
	all.Wait()
	if got, want := openFiles(t), before-2*(len(pipes)-sparePipes); got > want {
		t.Errorf("%d files are open after all pipes were given back, want at most %d", got, want)
	}
	// A pipe with bytes of somebody in it is not for others.
	p := takePipe()
	kept := len(spare)
	p.held = 1
	p.giveBack()
	if len(spare) != kept {
		t.Error("a pipe with bytes in it was kept")
	}
}
