//go:build !linux

package afpacket

import (
	"net/netip"

	"github.com/braid-mptcp/braid/link"
)

// Device is a packet socket, of which there is none on this system.
type Device struct{ link.Device }

// Open fails with ErrNotLinux.
func Open(cfg Config) (*Device, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return nil, ErrNotLinux
}

// Addrs are the addresses whose packets the device takes.
func (d *Device) Addrs() []netip.Addr { return nil }
