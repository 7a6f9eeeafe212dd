package passthrough

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/balance"
)

// TestHalfClose: what either side says after the other one has ended its
// direction arrives.
func TestHalfClose(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		said := make(chan string, 1)
		to := service(t, server, func(c halves) {
			defer c.Close()
			line := make([]byte, 6)
			io.ReadFull(c, line)
			if string(line) == "client" { // ends first
				all, _ := io.ReadAll(c)
				fmt.Fprintf(c, "you said %d bytes", len(all))
				return
			}
			fmt.Fprint(c, "first")
			c.CloseWrite()
			all, _ := io.ReadAll(c)
			said <- string(all)
		})
		r := newRig(t, client, pool(t, server.dial, to.String()), nil)

		c := r.connect()
		fmt.Fprint(c, "client")
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "you said 1048576 bytes" {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		res := r.wantEnd(EndClosed)
		r.wantBytes(res, 6+1<<20, 22)
		if res.Backend == "" || res.Server == nil || res.Server.String() != to.String() || res.Pool != "pool" {
			t.Errorf("the result names pool %q, backend %q at %v; want it at %v", res.Pool, res.Backend, res.Server, to)
		}

		c = r.connect()
		fmt.Fprint(c, "server")
		if got, err := io.ReadAll(c); err != nil || string(got) != "first" {
			t.Errorf("got %q, %v", got, err)
		}
		fmt.Fprint(c, "afterwards")
		c.CloseWrite()
		select {
		case got := <-said:
			if got != "afterwards" {
				t.Errorf("the server got %q", got)
			}
		case <-time.After(patience):
			t.Error("the server does not hear of the end")
		}
		r.wantEnd(EndClosed)
	})
}

// TestBothWays sends two streams of pieces of all sizes at once, with pauses,
// past readers of all speeds.
func TestBothWays(t *testing.T) {
	const size = 3 << 20
	everyWay(t, func(t *testing.T, client, server way) {
		talk := func(c halves, mine, other uint64) error {
			var sending sync.WaitGroup
			var failed error
			sending.Go(func() {
				p, rng := newPattern(mine), rand.New(rand.NewPCG(mine, 1))
				b := make([]byte, 300<<10)
				for left := size; left > 0; {
					n := min(1+rng.IntN(1<<rng.IntN(19)), left)
					p.next(b[:n])
					if _, failed = c.Write(b[:n]); failed != nil {
						return
					}
					left -= n
					if rng.IntN(50) == 0 {
						time.Sleep(time.Millisecond)
					}
				}
				failed = c.CloseWrite()
			})
			p, rng := newPattern(other), rand.New(rand.NewPCG(other, 2))
			got, want, total := make([]byte, 300<<10), make([]byte, 300<<10), 0
			for {
				n, err := c.Read(got[:1+rng.IntN(len(got))])
				p.next(want[:n])
				if !bytes.Equal(got[:n], want[:n]) {
					return fmt.Errorf("wrong bytes behind the first %d", total)
				}
				total += n
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
				if rng.IntN(20) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			sending.Wait()
			if failed != nil || total != size {
				return fmt.Errorf("got %d bytes of %d; sending gave %v", total, size, failed)
			}
			return nil
		}
		served := make(chan error, 1)
		to := service(t, server, func(c halves) {
			c.SetDeadline(time.Now().Add(patience))
			served <- talk(c, 1, 2)
			c.Close()
		})
		r := newRig(t, client, pool(t, server.dial, to.String()), nil)
		c := r.connect()
		if err := talk(c, 2, 1); err != nil {
			t.Errorf("client: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("server: %v", err)
		}
		c.Close()
		r.wantBytes(r.wantEnd(EndClosed), size, size)
	})
}

// TestResets: a stream that breaks on one side breaks on the other.
func TestResets(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		t.Run("by the server", func(t *testing.T) {
			to := service(t, server, func(c halves) {
				io.ReadFull(c, make([]byte, 4))
				fmt.Fprint(c, "half of")
				io.ReadFull(c, make([]byte, 1)) // a reset overtakes what is not read yet
				c.SetLinger(0)
				c.Close()
			})
			r := newRig(t, client, pool(t, server.dial, to.String()), nil)
			c := r.connect()
			fmt.Fprint(c, "what")
			got := make([]byte, 7)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "half of" {
				t.Errorf("got %q, %v", got, err)
			}
			fmt.Fprint(c, "!")
			wantReset(t, c)
			r.wantBytes(r.wantEnd(EndServer), 5, 7)
		})
		t.Run("by the client", func(t *testing.T) {
			read := make(chan error, 1)
			to := service(t, server, func(c halves) {
				fmt.Fprint(c, "hello")
				_, err := io.Copy(io.Discard, c)
				read <- err
				c.Close()
			})
			r := newRig(t, client, pool(t, server.dial, to.String()), nil)
			c := r.connect()
			io.ReadFull(c, make([]byte, 5))
			c.SetLinger(0)
			c.Close()
			r.wantEnd(EndClient)
			if err := <-read; err == nil {
				t.Error("the server takes the stream for a whole one")
			}
		})
	})
}

// TestIdle: what passes in either direction keeps a connection, nothing else
// does.
func TestIdle(t *testing.T) {
	alikeWays(t, func(t *testing.T, client, server way) {
		const idle = time.Second
		to := service(t, server, func(c halves) {
			for range 10 {
				if _, err := c.Write([]byte{1}); err != nil {
					return
				}
				time.Sleep(idle / 8)
			}
			wantReset(t, c)
			c.Close()
		})
		r := newRig(t, client, pool(t, server.dial, to.String()), func(r *rig) { r.cfg.Idle = idle })
		c := r.connect()
		if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		wantReset(t, c)
		res := r.wantEnd(EndIdle)
		if !errors.Is(res.Err, ErrIdle) {
			t.Errorf("the error is %v", res.Err)
		}
		if took := time.Since(since); took < idle/2 {
			t.Errorf("the connection ended after %v of silence", took)
		}
	})
}

// TestStuck: a peer that takes nothing for so long is idle too.
func TestStuck(t *testing.T) {
	alikeWays(t, func(t *testing.T, client, server way) {
		to := service(t, server, func(c halves) {
			io.Copy(c, &endless{})
			c.Close()
		})
		r := newRig(t, client, pool(t, server.dial, to.String()), func(r *rig) { r.cfg.Idle = 400 * time.Millisecond })
		r.connect()
		r.wantEnd(EndIdle)
	})
}

// endless never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestShutdown: the end of the context ends connections in all states.
func TestShutdown(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		to := service(t, server, func(c halves) {
			fmt.Fprint(c, "hello")
			wantReset(t, c)
			c.Close()
		})
		r := newRig(t, client, pool(t, server.dial, to.String()), nil)
		c := r.connect()
		io.ReadFull(c, make([]byte, 5))
		r.stop()
		wantReset(t, c)
		if res := r.wantEnd(EndShutdown); !errors.Is(res.Err, ErrShutdown) {
			t.Errorf("the error is %v", res.Err)
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		dialing := make(chan struct{})
		r := newRig(t, plainWay(), pool(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(dialing)
			<-ctx.Done()
			return nil, ctx.Err()
		}, "192.0.2.1:1"), nil)
		c := r.connect()
		<-dialing
		r.stop()
		wantReset(t, c)
		r.wantEnd(EndShutdown)
	})
}

// TestRetry: a server that refuses is passed over, and its client does not hear
// of it.
func TestRetry(t *testing.T) {
	w := plainWay()
	closed, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	to := service(t, w, func(c halves) {
		fmt.Fprint(c, "hello")
		c.Close()
	})
	p := pool(t, w.dial, closed.Addr().String(), to.String())
	r := newRig(t, w, p, nil)
	for range 4 {
		c := r.connect()
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		if res := r.wantEnd(EndClosed); res.Backend != to.String() {
			t.Errorf("the server was %s, want %s", res.Backend, to)
		}
	}
	if conns := p.Stats().Conns; conns.InUse+conns.Idle != 0 || conns.Reused != 0 || conns.Opened != 4 {
		t.Errorf("of connections to servers %d are in use, %d idle, %d opened, %d reused; want 4 opened and closed",
			conns.InUse, conns.Idle, conns.Opened, conns.Reused)
	}
}

// TestNoServer: where no server can be reached, the client is refused too.
func TestNoServer(t *testing.T) {
	w := plainWay()
	closed, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	r := newRig(t, w, pool(t, w.dial, closed.Addr().String()), nil)
	if c, err := r.dial(); err == nil { // else it was refused at once
		wantReset(t, c)
		c.Close()
	}
	res := r.wantEnd(EndNoServer)
	if dial := (*balance.DialError)(nil); !errors.As(res.Err, &dial) || res.Pool != "pool" || res.Backend != "" {
		t.Errorf("got pool %q, backend %q, error %v; want one of dialling", res.Pool, res.Backend, res.Err)
	}
}

// TestRefused: what Route refuses is not served.
func TestRefused(t *testing.T) {
	w := plainWay()
	refusal := errors.New("no such name")
	r := newRig(t, w, nil, func(r *rig) {
		r.cfg.Route = func(*Conn) (*balance.Pool, balance.Request, error) { return nil, balance.Request{}, refusal }
	})
	if c, err := r.dial(); err == nil { // else it was refused at once
		wantReset(t, c)
		c.Close()
	}
	if res := r.wantEnd(EndRefused); !errors.Is(res.Err, refusal) {
		t.Errorf("the error is %v", res.Err)
	}
}

// TestEnding: whoever wants to know what a connection did is told while it can
// still be asked.
func TestEnding(t *testing.T) {
	w := plainWay()
	to := service(t, w, func(c halves) {
		io.Copy(io.Discard, c)
		c.Close()
	})
	asked := make(chan string, 2)
	r := newRig(t, w, pool(t, w.dial, to.String()), func(r *rig) {
		route := r.cfg.Route
		r.cfg.Route = func(c *Conn) (*balance.Pool, balance.Request, error) {
			c.Data = "mine"
			c.Ending = func() { asked <- c.Client.RemoteAddr().String() }
			return route(c)
		}
	})
	c := r.connect()
	c.CloseWrite()
	io.Copy(io.Discard, c)
	res := r.wantEnd(EndClosed)
	if res.Conn.Data != "mine" || len(asked) != 2 || <-asked != c.LocalAddr().String() {
		t.Errorf("Ending was called %d times, Data is %v", len(asked), res.Conn.Data)
	}
}
