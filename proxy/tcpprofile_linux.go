package proxy

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/config"
)

// profileControl sets the options of a profile on a socket before it connects
// or listens. Linux has connections inherit those of their listener.
func profileControl(profile *config.TCPProfile) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = setProfile(int(fd), profile) })
		if err != nil {
			return err
		}
		return failed
	}
}

func setProfile(fd int, profile *config.TCPProfile) error {
	type option struct {
		name              string
		level, opt, value int
	}
	seconds := func(d config.Duration) int { return max(int(d.D()/time.Second), 1) }
	var options []option
	if profile.KeepAlive > 0 {
		options = append(options,
			option{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			option{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(profile.KeepAlive)},
			option{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(profile.KeepAliveInterval)},
			option{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, min(profile.KeepAliveCount, 127)})
	}
	if n := profile.ReceiveBuffer; n > 0 {
		options = append(options, option{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, int(n)})
	}
	if n := profile.SendBuffer; n > 0 {
		options = append(options, option{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, int(n)})
	}
	if t := profile.UserTimeout; t > 0 {
		options = append(options, option{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(t.D() / time.Millisecond)})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return os.NewSyscallError("setsockopt "+o.name, err)
		}
	}
	if cc := profile.CongestionControl; cc != "" {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, cc); err != nil {
			return os.NewSyscallError("setsockopt TCP_CONGESTION "+cc, err)
		}
	}
	return nil
}
