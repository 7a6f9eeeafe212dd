package relay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestReason: the log has the addresses already, and says what failed.
func TestReason(t *testing.T) {
	here, there := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 2}
	op := func(op string, err error) error {
		return &net.OpError{Op: op, Net: "tcp", Source: here, Addr: there, Err: err}
	}
	reset := os.NewSyscallError("splice", syscall.ECONNRESET)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("what else"), "what else"},
		{op("read", syscall.ECONNRESET), "read: connection reset by peer"},
		{op("writeto", op("readfrom", reset)), "readfrom: splice: connection reset by peer"},
		{fmt.Errorf("copy: %w", op("write", syscall.EPIPE)), "write: broken pipe"},
	} {
		if got := reason(tt.err); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}
