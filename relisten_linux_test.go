package braid

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/tcp"
)

// acceptBy has l accept a connection.
func acceptBy(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// TestSetOptions changes the options of sockets that listen, there and back, and
// looks at what the kernel says of those accepted.
func TestSetOptions(t *testing.T) {
	options := []struct {
		name          string
		level, option int
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF},
		{"SO_BUF_LOCK", unix.SOL_SOCKET, unix.SO_BUF_LOCK},
	}
	o := Options{RecvBuffer: 100 << 10, SendBuffer: 200 << 10, TCP: tcp.Config{
		Nagle: true, CongestionControl: "reno", UserTimeout: 7 * time.Second,
		KeepAlive: tcp.KeepAlive{Idle: 91 * time.Second, Interval: 11 * time.Second, Count: 3}}}
	want := []int{0, 1, 91, 11, 3, 7000, 200 << 10, 3}
	for _, kind := range []Kind{Plain, Kernel} {
		t.Run(kind.String(), func(t *testing.T) {
			if err := kernel.Supported(); kind == Kernel && err != nil {
				t.Skip(err)
			}
			open, err := Open(t.Context(), OpenConfig{Kind: kind, SinglePath: true})
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			l, err := WithOptions(open, Options{TCP: tcp.Config{Nagle: true}}, nil).Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			values := func() (list []int) {
				c := acceptBy(t, l)
				for _, option := range options {
					if option.option == unix.TCP_USER_TIMEOUT && option.level == unix.IPPROTO_TCP && kind == Kernel {
						list = append(list, 7000) // Linux knows none for Multipath TCP
						continue
					}
					list = append(list, sockopt(t, c, option.level, option.option))
				}
				return list
			}
			before := values()
			if err := SetOptions(l, o); err != nil {
				t.Fatal(err)
			}
			for i, got := range values() {
				if got != want[i] {
					t.Errorf("%s: got %d, want %d", options[i].name, got, want[i])
				}
			}
			err = SetOptions(l, Options{})
			if kind == Plain && err != nil {
				t.Errorf("back: %v", err)
			} else if kind == Kernel && (!errors.Is(err, ErrFeature) || !strings.Contains(err.Error(), "buffer")) {
				t.Errorf("back: %v, want that the buffers do not adapt again", err)
			}
			for i, got := range values() {
				switch name := options[i].name; {
				case name == "TCP_NODELAY":
					before[i] = 1
				case kind == Kernel && name == "SO_BUF_LOCK":
					before[i] = 3
				case kind == Kernel && name == "SO_RCVBUF":
					before[i] = 200 << 10
				}
				if got != before[i] {
					t.Errorf("back: %s: got %d, want %d", options[i].name, got, before[i])
				}
			}
		})
	}
}

// TestSetOptionsOfStack changes a listener of the user stack.
func TestSetOptionsOfStack(t *testing.T) {
	a, b := twoStacks(t)
	l, err := WithOptions(b, Options{Scheduler: SchedulerRoundRobin}, nil).Listen("tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, want := range []Scheduler{SchedulerRoundRobin, SchedulerRedundant} {
		if want != SchedulerRoundRobin {
			if err := SetOptions(l, Options{Scheduler: want}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := a.Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		if info, _ := InfoOf(accepted); info.Scheduler != want {
			t.Errorf("got %v, want %v", info.Scheduler, want)
		}
	}
	if err := SetOptions(nil, Options{}); !errors.Is(err, ErrFeature) {
		t.Errorf("no listener: %v", err)
	}
}
