// Package hostnet prepares a Linux host for Multipath TCP: it finds the uplinks
// and installs, through netlink and nftables, what either stack needs to use
// all of them at once.
//
// For the user stack behind a TUN interface (StackPlan): an address for every
// uplink, a routing table for every uplink which packets from that address use,
// masquerading, forwarding, and, for servers, port forwards. For the kernel's
// stack (KernelPlan): a routing table for every uplink, and path manager
// endpoints.
//
// A Plan is a value. It is made from a State, which is all that was read of the
// host, and from wishes; it can be printed as the commands a person would type
// (Plan.String), and it is installed by Host.Install.
//
// # What is whose
//
// Everything installed carries a mark: routes and rules have the protocol number
// Protocol, nftables tables are named "braid-" and a tag, the TUN interface has
// such an alias. Nothing is added to tables, rules or chains of the user's.
// Before anything is installed, a journal in /run/braid says what will be, and
// what settings were before; the process keeps it locked. Setup.Close undoes it.
// A user who has CAP_NET_ADMIN and cannot write there has journals elsewhere,
// which nobody else obeys: what this user's processes leave, this user's clean
// up.
// When a process dies, its lock goes with it, and the next Host.Cleanup, which
// Install begins with, undoes it in its place. A setting that several processes
// need is restored by the last.
//
// # Limitations
//
// The user stack's packets are forwarded packets: a firewall whose forward chain
// drops by policy has to let them pass (Plan.Warnings names it). Before Linux
// 6.17, IPv6 forwarding is switched on for the whole host.
//
// Installing needs CAP_NET_ADMIN. On other systems than Linux, Open fails with
// ErrNotLinux.
package hostnet

import "errors"

// Protocol is the protocol number of the routes and rules that this package
// installs (rtm_protocol; "proto 184" in ip-route(8)).
const Protocol = 184

var (
	// ErrNotLinux is returned by Open on other systems than Linux.
	ErrNotLinux = errors.New("hostnet: needs Linux")
	// ErrPermission is wrapped by errors that are for want of CAP_NET_ADMIN.
	ErrPermission = errors.New("hostnet: needs CAP_NET_ADMIN (run as root, or setcap cap_net_admin+ep)")
	// ErrNoUplink says that the host has no default route to work with.
	ErrNoUplink = errors.New("hostnet: no uplink: the host has no default route")
	// ErrNotInstalled is returned by Host.Remove for an unknown tag.
	ErrNotInstalled = errors.New("hostnet: nothing is installed under this tag")
	// ErrInstalled is returned by Host.Install when the tag is in use.
	ErrInstalled = errors.New("hostnet: tag is in use")
	// ErrFollowLost is returned by Follower.Next when the kernel no longer
	// tells of changes, since too many came at once. Follow anew.
	ErrFollowLost = errors.New("hostnet: changes were lost")
	// ErrConfig wraps what is wrong with a StackConfig.
	ErrConfig = errors.New("hostnet: bad configuration")
)
