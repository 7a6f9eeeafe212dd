package braid

import (
	"fmt"
	"os"
	"slices"
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
	fd, err := freshSocket(multipath)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	return s.set(fd)
}

// change gives a listening socket, which may have had other settings, those of
// s, or what a new socket has. It tells what cannot be changed. Accepted sockets
// inherit all of it.
func (s *socketOptions) change(fd int, multipath bool) (lacks []error) {
	failed := func(what string, err error) {
		if err != nil {
			lacks = append(lacks, fmt.Errorf("%s: %w", what, err))
		}
	}
	fresh, err := freshSocket(multipath)
	if err != nil {
		return []error{err}
	}
	defer unix.Close(fresh)
	for _, o := range [...]socketSetting{
		{what: "keepalive", level: unix.SOL_SOCKET, option: unix.SO_KEEPALIVE},
		{what: "keepalive", level: unix.IPPROTO_TCP, option: unix.TCP_KEEPIDLE},
		{what: "keepalive interval", level: unix.IPPROTO_TCP, option: unix.TCP_KEEPINTVL},
		{what: "keepalive count", level: unix.IPPROTO_TCP, option: unix.TCP_KEEPCNT},
		{what: "user timeout", level: unix.IPPROTO_TCP, option: unix.TCP_USER_TIMEOUT},
		{what: "congestion control", level: unix.IPPROTO_TCP, option: unix.TCP_CONGESTION},
	} {
		if want, ok := s.setting(&o); ok {
			o = want
		} else if o.get(fresh) != nil {
			continue // a socket of this protocol has it not
		}
		failed(o.what, o.set(fd))
	}
	failed("Nagle's algorithm", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, boolInt(!s.nagle)))
	for _, b := range [...]struct {
		setting socketSetting
		lock    int
	}{
		{socketSetting{what: "receive buffer", level: unix.SOL_SOCKET, option: unix.SO_RCVBUF}, lockRecvBuffer},
		{socketSetting{what: "send buffer", level: unix.SOL_SOCKET, option: unix.SO_SNDBUF}, lockSendBuffer},
	} {
		if want, ok := s.setting(&b.setting); ok {
			failed(want.what, want.set(fd))
		} else {
			failed("a "+b.setting.what+" of the system's choice", unlockBuffer(fd, fresh, b.setting, b.lock))
		}
	}
	return lacks
}

// The parts of SO_BUF_LOCK: sizes that were chosen, and do not adapt.
const (
	lockSendBuffer = 1
	lockRecvBuffer = 2
)

// unlockBuffer makes a buffer adapt again, beginning as that of a new socket.
// Sockets of Multipath TCP do not know how to.
func unlockBuffer(fd, fresh int, size socketSetting, lock int) error {
	locked, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK)
	if err != nil || locked&lock == 0 {
		return nil
	}
	if err := size.get(fresh); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, locked&^lock); err != nil {
		return err
	}
	size.value /= 2 // socket(7): what is set is doubled
	if err := size.set(fd); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, locked&^lock)
}

func freshSocket(multipath bool) (fd int, err error) {
	protocol := unix.IPPROTO_TCP
	if multipath {
		protocol = unix.IPPROTO_MPTCP
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} { // a host may lack one of them
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol); err == nil {
			return fd, nil
		}
	}
	return -1, os.NewSyscallError("socket", err)
}

// setting finds the one that s has for an option.
func (s *socketOptions) setting(o *socketSetting) (socketSetting, bool) {
	i := slices.IndexFunc(s.settings, func(has socketSetting) bool { return has.level == o.level && has.option == o.option })
	if i < 0 {
		return socketSetting{}, false
	}
	return s.settings[i], true
}

// get takes the value from a socket.
func (s *socketSetting) get(fd int) (err error) {
	if s.option == unix.TCP_CONGESTION && s.level == unix.IPPROTO_TCP {
		s.text, err = unix.GetsockoptString(fd, s.level, s.option)
	} else {
		s.value, err = unix.GetsockoptInt(fd, s.level, s.option)
	}
	return err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
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
