package braid

import (
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settingsFor turns options into those of Linux' sockets (socket(7), tcp(7)).
func settingsFor(o *Options) (all []socketSetting) {
	set := func(what string, level, option, value int) {
		all = append(all, socketSetting{what: what, level: level, option: option, value: value})
	}
	if k := o.TCP.KeepAlive; k.Idle > 0 {
		set("keepalive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		set("keepalive", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(k.Idle))
		if k.Interval > 0 {
			set("keepalive interval", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(k.Interval))
		}
		if k.Count > 0 {
			set("keepalive count", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, k.Count)
		}
	}
	if o.RecvBuffer > 0 {
		set("receive buffer", unix.SOL_SOCKET, unix.SO_RCVBUF, o.RecvBuffer)
	}
	if o.SendBuffer > 0 {
		set("send buffer", unix.SOL_SOCKET, unix.SO_SNDBUF, o.SendBuffer)
	}
	if o.TCP.UserTimeout > 0 {
		set("user timeout", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.TCP.UserTimeout/time.Millisecond))
	}
	if name := o.TCP.CongestionControl; name != "" {
		all = append(all, socketSetting{what: "congestion control " + name,
			level: unix.IPPROTO_TCP, option: unix.TCP_CONGESTION, text: name})
	}
	return all
}

// seconds rounds up: the kernel counts whole ones, and refuses none at all.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func (s *socketSetting) set(fd int) error {
	if s.text != "" {
		return unix.SetsockoptString(fd, s.level, s.option, s.text)
	}
	return unix.SetsockoptInt(fd, s.level, s.option, s.value)
}

// try tells whether a socket takes a setting.
func try(s socketSetting, multipath bool) error {
	protocol := unix.IPPROTO_TCP
	if multipath {
		protocol = unix.IPPROTO_MPTCP
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} { // a host may lack one of them
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
		if err == nil {
			defer unix.Close(fd)
			return s.set(fd)
		}
	}
	return nil
}

// control makes the function for Control of net.Dialer and net.ListenConfig.
func (s *socketOptions) control(iface string) func(network, address string, c syscall.RawConn) error {
	bind := bindTo(iface)
	return func(network, address string, c syscall.RawConn) error {
		if bind != nil {
			if err := bind(network, address, c); err != nil {
				return err
			}
		}
		return c.Control(func(fd uintptr) {
			for i := range s.settings {
				s.settings[i].set(int(fd)) // it was tried
			}
		})
	}
}

// sysctl reads a setting of the network; "" when there is no such setting.
func sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
