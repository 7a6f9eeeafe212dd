//go:build !linux

package braid

import (
	"fmt"
	"runtime"
	"syscall"
)

// bindTo makes the function for net.Dialer.Control that refuses: choosing an
// interface is done on Linux only.
func bindTo(iface string) func(network, address string, c syscall.RawConn) error {
	if iface == "" {
		return nil
	}
	return func(string, string, syscall.RawConn) error {
		return fmt.Errorf("%w: choosing interface %s needs Linux, this is %s", ErrFeature, iface, runtime.GOOS)
	}
}
