package braid

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindTo makes the function for net.Dialer.Control that sends a connection's
// first subflow out of an interface; nil for "".
func bindTo(iface string) func(network, address string, c syscall.RawConn) error {
	if iface == "" {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var bindErr error
		err := c.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), iface) })
		if err == nil && bindErr != nil {
			err = &os.SyscallError{Syscall: "bind to " + iface, Err: bindErr}
		}
		return err
	}
}
