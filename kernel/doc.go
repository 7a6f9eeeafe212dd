// Package kernel gives Go programs what Linux knows of its own Multipath TCP:
// connections over IPPROTO_MPTCP sockets, what became of them (MPTCP_INFO,
// MPTCP_FULL_INFO and their kin), and the path manager's endpoints, limits and
// events (the generic netlink family mptcp_pm).
//
// Words are those of ip-mptcp(8): an endpoint is a local address with flags
// signal, subflow, backup, fullmesh or laminar; limits bound how many subflows
// and announced addresses a connection takes.
//
// On other systems than Linux the package builds, Supported says that the
// system has no MPTCP sockets, and everything fails with ErrUnsupported.
//
// # Limitations
//
// A listener that is to take joins at several addresses listens on the wildcard
// address: the kernel finds the listener of a join by its destination.
//
// What older kernels do not report is zero.
package kernel

import "errors"

var (
	// ErrUnsupported is wrapped by errors that say that this kernel offers no
	// Multipath TCP, with the reason in their text.
	ErrUnsupported = errors.New("kernel offers no Multipath TCP")
	// ErrNotMPTCP is returned when a connection is plain TCP: the peer has no
	// MPTCP, or the connection fell back to TCP later (RFC 8684 section 3.7).
	ErrNotMPTCP = errors.New("connection is not Multipath TCP")
	// ErrPermission is wrapped by errors of the path manager that are for want
	// of CAP_NET_ADMIN.
	ErrPermission = errors.New("needs CAP_NET_ADMIN")
	// ErrEventsLost is returned by Watcher.Next when the kernel dropped events
	// because nobody took them in time. Later events follow.
	ErrEventsLost = errors.New("kernel: events were lost")
)
