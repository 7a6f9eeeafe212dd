//go:build !linux

package proxy

import "net"

// acceptsMultipath says whether a socket that was handed over is one of
// Multipath TCP, which other systems do not have.
func acceptsMultipath(net.Listener) bool { return false }
