package braid

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// attempt is how one choice of a race goes.
type attempt struct {
	after time.Duration // until it succeeds or fails; 0: never
	err   error
}

// raceConn counts what is closed.
type raceConn struct {
	net.Conn
	choice int
	closed *atomic.Int32
}

func (c *raceConn) Close() error {
	c.closed.Add(1)
	return nil
}

func TestFirstOf(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	const s = time.Second
	for _, tt := range []struct {
		name     string
		attempts []attempt
		want     int           // who wins; -1: nobody
		err      error         // then
		took     time.Duration // the delay between attempts being a second
		begun    int
		closed   int32 // connections that came too late
	}{
		{"the first answers", []attempt{{after: s / 2}, {after: s / 2}}, 0, nil, s / 2, 1, 0},
		{"the first is slow", []attempt{{after: 5 * s}, {after: s / 2}}, 1, nil, 3 * s / 2, 2, 0},
		{"the first is slow and wins", []attempt{{after: 2 * s}, {after: 5 * s}}, 0, nil, 2 * s, 2, 0},
		{"the first fails", []attempt{{s / 2, first}, {after: s / 4}}, 1, nil, 3 * s / 4, 2, 0},
		{"the first is dead", []attempt{{}, {}, {after: s / 2}}, 2, nil, 5 * s / 2, 3, 0},
		{"all fail", []attempt{{s / 2, first}, {s / 4, second}}, -1, first, 3 * s / 4, 2, 0},
		{"a failure while another runs", []attempt{{3 * s, first}, {s / 2, second}, {after: 9 * s}}, 2, nil, 11 * s, 3, 0},
		{"none", nil, -1, nil, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var begun, closed atomic.Int32
				began := time.Now()
				choices := make([]int, len(tt.attempts))
				for i := range choices {
					choices[i] = i
				}
				c, err := firstOf(t.Context(), s, choices, func(ctx context.Context, i int) (net.Conn, error) {
					begun.Add(1)
					a := tt.attempts[i]
					if a.after == 0 {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					select {
					case <-time.After(a.after):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					return &raceConn{choice: i, closed: &closed}, a.err
				})
				took := time.Since(began)
				synctest.Wait()
				if took != tt.took || int(begun.Load()) != tt.begun || closed.Load() != tt.closed {
					t.Errorf("took %v, %d attempts, %d closed; want %v, %d, %d", took, begun.Load(), closed.Load(), tt.took, tt.begun, tt.closed)
				}
				switch {
				case tt.want < 0 && (err == nil || tt.err != nil && !errors.Is(err, tt.err)):
					t.Errorf("got %v, want %v", err, tt.err)
				case tt.want >= 0 && (err != nil || c.(*raceConn).choice != tt.want):
					t.Errorf("got %v, %v, want choice %d", c, err, tt.want)
				}
			})
		})
	}
}

// TestFirstOfTooLate: a connection that nobody waits for any more is closed.
func TestFirstOfTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		_, err := firstOf(t.Context(), time.Second, []int{0, 1}, func(_ context.Context, i int) (net.Conn, error) {
			time.Sleep(1500 * time.Millisecond) // heeds no context
			return &raceConn{closed: &closed}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if closed.Load() != 1 {
			t.Errorf("%d connections closed, want 1", closed.Load())
		}
	})
}

func TestFirstOfCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, err := firstOf(ctx, time.Second, []int{0, 1}, func(ctx context.Context, _ int) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}
