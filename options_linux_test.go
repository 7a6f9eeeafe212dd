package braid

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/tcp"
)

// TestOptionsOfSockets looks at what the kernel says about the sockets of both
// ends, of plain TCP and of Multipath TCP.
func TestOptionsOfSockets(t *testing.T) {
	o := Options{RecvBuffer: 100 << 10, SendBuffer: 200 << 10, TCP: tcp.Config{
		Nagle: true, CongestionControl: "reno", UserTimeout: 7 * time.Second,
		KeepAlive: tcp.KeepAlive{Idle: 90*time.Second + 1, Interval: 11 * time.Second, Count: 3}}}
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
			var missing []string
			n := WithOptions(open, o, func(what string) { missing = append(missing, what) })
			// Linux knows no user timeout for Multipath TCP.
			if want := kind == Kernel; (len(missing) == 1) != want {
				t.Errorf("told %q", missing)
			}
			for _, c := range pair(connect(t, n, n, "127.0.0.1:0")) {
				for _, want := range []struct {
					name                 string
					level, option, value int
				}{
					{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 0},
					{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
					{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 91},
					{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 11},
					{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
					{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, 2 * o.RecvBuffer}, // socket(7): doubled
					{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, 2 * o.SendBuffer},
					{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 7000},
				} {
					if want.option == unix.TCP_USER_TIMEOUT && want.level == unix.IPPROTO_TCP && kind == Kernel {
						continue
					}
					if got := sockopt(t, c, want.level, want.option); got != want.value {
						t.Errorf("%s %d, want %d", want.name, got, want.value)
					}
				}
			}
		})
	}
}

// TestOptionsSchedulerOfKernel: a scheduler is a setting of the whole namespace,
// so options can only agree with it.
func TestOptionsSchedulerOfKernel(t *testing.T) {
	if err := kernel.Supported(); err != nil {
		t.Skip(err)
	}
	now := mptcpSetting("scheduler")
	if now != "default" {
		t.Skipf("the scheduler here is %q", now)
	}
	open, err := Open(t.Context(), OpenConfig{Kind: Kernel, SinglePath: true, Connections: Options{Scheduler: SchedulerDefault}})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, s := range []Scheduler{SchedulerUnset, SchedulerDefault, SchedulerRoundRobin} {
		var missing []string
		WithOptions(open, Options{Scheduler: s}, func(what string) { missing = append(missing, what) })
		if want := s == SchedulerRoundRobin; want != (len(missing) == 1) || want && !strings.Contains(missing[0], "scheduler roundrobin") {
			t.Errorf("%v: told %q", s, missing)
		}
	}
	_, err = Open(t.Context(), OpenConfig{Kind: Kernel, SinglePath: true, Connections: Options{Scheduler: SchedulerRedundant}})
	if !errors.Is(err, ErrFeature) || !strings.Contains(err.Error(), "net.mptcp.") {
		t.Errorf("got %v, want ErrFeature and the name of the setting", err)
	}
}

func sockopt(t *testing.T, c net.Conn, level, option int) (value int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, option) })
	if err != nil {
		t.Fatal(err)
	}
	return value
}
