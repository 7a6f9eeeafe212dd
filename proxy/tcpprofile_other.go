//go:build !linux

package proxy

import (
	"syscall"

	"github.com/braid-mptcp/braid/config"
)

// profileControl sets nothing where the options have not been tried.
func profileControl(*config.TCPProfile) func(network, address string, raw syscall.RawConn) error {
	return nil
}
