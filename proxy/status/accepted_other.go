//go:build !linux

package status

import "net"

// acceptedPlain is false: no other kernel accepts Multipath TCP here.
func acceptedPlain(net.Conn) bool { return false }
