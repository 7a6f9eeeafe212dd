//go:build !linux

package braid

import (
	"errors"
	"runtime"
	"syscall"
)

// settingsFor names what is asked for. Sockets are given options on Linux only.
func settingsFor(o *Options) (all []socketSetting) {
	for _, s := range []struct {
		what  string
		asked bool
	}{
		{"keepalive", o.TCP.KeepAlive.Idle > 0},
		{"receive buffer", o.RecvBuffer > 0},
		{"send buffer", o.SendBuffer > 0},
		{"user timeout", o.TCP.UserTimeout > 0},
		{"congestion control " + o.TCP.CongestionControl, o.TCP.CongestionControl != ""},
	} {
		if s.asked {
			all = append(all, socketSetting{what: s.what})
		}
	}
	return all
}

func try(socketSetting, bool) error {
	return errors.New("needs Linux, this is " + runtime.GOOS)
}

func (s *socketOptions) control(iface string) func(network, address string, c syscall.RawConn) error {
	return bindTo(iface)
}

func (s *socketOptions) change(int, bool) []error {
	return []error{errors.New("needs Linux, this is " + runtime.GOOS)}
}

func sysctl(string) string { return "" }
