package proxy

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/braid-mptcp/braid/config"
)

// errHeld says that a reload cannot have an address while the proxy holds
// another that covers it. To give that up first would turn clients away, and
// perhaps for nothing.
var errHeld = errors.New("restart the proxy to change that")

// held explains why an address of a new configuration cannot be bound, where it
// is the proxy's own doing.
func (p *Proxy) held(a config.Address, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	for _, s := range p.sockets() {
		if a.Overlaps(s.address) {
			return fmt.Errorf("%s: the port is in use by this proxy itself, which listens at %s: %w", a, s.address, errHeld)
		}
	}
	return err
}
