//go:build !linux

package kernel

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
)

var errSystem = fmt.Errorf("%w: %s is not Linux", ErrUnsupported, runtime.GOOS)

// Supported returns an error that wraps ErrUnsupported.
func Supported() error { return errSystem }

// IsMPTCP tells whether the connection is Multipath TCP: it is not.
func (c *Conn) IsMPTCP() (bool, error) { return false, nil }

// Info fails with ErrNotMPTCP.
func (c *Conn) Info() (Info, error) { return Info{}, ErrNotMPTCP }

// FullInfo fails with ErrNotMPTCP.
func (c *Conn) FullInfo() (FullInfo, error) { return FullInfo{}, ErrNotMPTCP }

// FullInfoOf fails with ErrNotMPTCP.
func FullInfoOf(syscall.Conn) (FullInfo, error) { return FullInfo{}, ErrNotMPTCP }

// TCPInfo fails with ErrUnsupported.
func (c *Conn) TCPInfo() (TCPInfo, error) { return TCPInfo{}, errSystem }

// TCPInfoOf fails with ErrUnsupported.
func TCPInfoOf(syscall.Conn) (TCPInfo, error) { return TCPInfo{}, errSystem }

// PathManager administers the path manager of Linux.
type PathManager struct{}

// OpenPathManager fails with ErrUnsupported.
func OpenPathManager() (*PathManager, error) { return nil, errSystem }

// Close does nothing.
func (pm *PathManager) Close() error { return nil }

// Add fails with ErrUnsupported.
func (pm *PathManager) Add(Endpoint) error { return errSystem }

// Delete fails with ErrUnsupported.
func (pm *PathManager) Delete(Endpoint) error { return errSystem }

// Change fails with ErrUnsupported.
func (pm *PathManager) Change(uint8, EndpointFlags, EndpointFlags) error { return errSystem }

// Get fails with ErrUnsupported.
func (pm *PathManager) Get(uint8) (Endpoint, error) { return Endpoint{}, errSystem }

// Endpoints fails with ErrUnsupported.
func (pm *PathManager) Endpoints() ([]Endpoint, error) { return nil, errSystem }

// Flush fails with ErrUnsupported.
func (pm *PathManager) Flush() error { return errSystem }

// Limits fails with ErrUnsupported.
func (pm *PathManager) Limits() (Limits, error) { return Limits{}, errSystem }

// SetLimits fails with ErrUnsupported.
func (pm *PathManager) SetLimits(Limits) error { return errSystem }

// Watcher receives the path manager's events.
type Watcher struct{}

// Watch fails with ErrUnsupported.
func Watch() (*Watcher, error) { return nil, errSystem }

// Next fails: there are no events.
func (w *Watcher) Next() (Event, error) { return Event{}, net.ErrClosed }

// Close does nothing.
func (w *Watcher) Close() error { return nil }
