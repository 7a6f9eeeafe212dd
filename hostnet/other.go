//go:build !linux

package hostnet

import "net/netip"

// Host is a host's network, which this package knows on Linux only.
type Host struct{}

// Open fails with ErrNotLinux.
func Open(string) (*Host, error) { return nil, ErrNotLinux }

// Close does nothing.
func (h *Host) Close() {}

// State fails with ErrNotLinux.
func (h *Host) State() (State, error) { return State{}, ErrNotLinux }

// Uplinks fails with ErrNotLinux.
func (h *Host) Uplinks() ([]Uplink, error) { return nil, ErrNotLinux }

// Setup is an installed Plan.
type Setup struct{}

// Install fails with ErrNotLinux.
func (h *Host) Install(string, Planner) (*Setup, error) { return nil, ErrNotLinux }

// InstallPersistent fails with ErrNotLinux.
func (h *Host) InstallPersistent(string, Planner) (Plan, error) { return Plan{}, ErrNotLinux }

// Remove fails with ErrNotLinux.
func (h *Host) Remove(string) error { return ErrNotLinux }

// Installed lists nothing.
func (h *Host) Installed() ([]Installation, error) { return nil, nil }

// WayOut fails with ErrNotLinux.
func (h *Host) WayOut(netip.Addr, netip.Addr) (string, error) { return "", ErrNotLinux }

// Cleanup does nothing: there is nothing to clean up.
func (h *Host) Cleanup() ([]string, error) { return nil, nil }

// Plan is what is installed.
func (s *Setup) Plan() Plan { return Plan{} }

// Update fails with ErrNotLinux.
func (s *Setup) Update(Planner) error { return ErrNotLinux }

// Close does nothing.
func (s *Setup) Close() error { return nil }

// Follower tells when interfaces, addresses or routes change.
type Follower struct{}

// Follow fails with ErrNotLinux.
func (h *Host) Follow() (*Follower, error) { return nil, ErrNotLinux }

// Next fails with ErrNotLinux.
func (f *Follower) Next() error { return ErrNotLinux }

// Close does nothing.
func (f *Follower) Close() error { return nil }
