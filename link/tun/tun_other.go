//go:build !linux

package tun

import "github.com/braid-mptcp/braid/link"

// Device is a TUN interface, of which there is none on this system.
type Device struct{ link.Device }

// Open fails with ErrNotLinux.
func Open(Config) (*Device, error) { return nil, ErrNotLinux }

// OpenQueues fails with ErrNotLinux.
func OpenQueues(Config, int) ([]*Device, error) { return nil, ErrNotLinux }

// Name is the interface's name.
func (d *Device) Name() string { return "" }

// Index is the interface's index.
func (d *Device) Index() int { return 0 }
