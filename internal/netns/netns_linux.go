package netns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// RequireEnv names the environment variable which, when set to anything, turns
// the skip of Require into a failure. CI sets it where it runs as root, so that
// a lost privilege is not mistaken for a pass.
const RequireEnv = "BRAID_REQUIRE_NETNS"

// Require skips the test, with the reason, when this process may not make
// network namespaces.
func Require(t TB) {
	t.Helper()
	ns, err := create()
	if err == nil {
		ns.Close()
		return
	}
	if os.Getenv(RequireEnv) != "" {
		t.Fatalf("network namespaces cannot be made here: %v", err)
	}
	t.Skipf("needs root: network namespaces cannot be made here: %v", err)
}

// NS is one network namespace. Methods may be called by several goroutines.
type NS struct {
	name string
	t    TB
	ns   vnetns.NsHandle
	nl   *netlink.Handle // sockets of this namespace
}

// New makes an empty namespace with its loopback up. The name is for messages.
// IPv6 address detection, link-local addresses and router solicitations are
// off, so that no packet travels which the test did not ask for. The namespace
// goes away with the test, once no socket or process holds on to it.
func New(t TB, name string) *NS {
	t.Helper()
	Require(t)
	h, err := create()
	if err != nil {
		t.Fatalf("netns %s: %v", name, err)
	}
	nl, err := netlink.NewHandleAt(h)
	if err != nil {
		h.Close()
		t.Fatalf("netns %s: netlink: %v", name, err)
	}
	n := &NS{name: name, t: t, ns: h, nl: nl}
	t.Cleanup(func() {
		nl.Close()
		h.Close()
	})
	n.setDefaults()
	lo, err := nl.LinkByName("lo")
	n.must(err, "find lo")
	n.must(nl.LinkSetUp(lo), "lo up")
	return n
}

// create makes a namespace on a thread of its own, which ends with the
// goroutine since that never unlocks it. The handle keeps the namespace alive.
func create() (vnetns.NsHandle, error) {
	type result struct {
		h   vnetns.NsHandle
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{err: fmt.Errorf("unshare: %w", err)}
			return
		}
		h, err := vnetns.Get()
		done <- result{h, err}
	}()
	r := <-done
	return r.h, r.err
}

func (n *NS) setDefaults() {
	n.t.Helper()
	for _, dev := range []string{"all", "default"} {
		n.SetSysctl("net.ipv4.conf."+dev+".rp_filter", "0")
	}
	if !n.hasSysctl("net.ipv6.conf.default.accept_dad") {
		return // a kernel without IPv6
	}
	n.SetSysctl("net.ipv6.conf.default.accept_dad", "0")
	n.SetSysctl("net.ipv6.conf.default.addr_gen_mode", "1") // no link-local address
	n.SetSysctl("net.ipv6.conf.default.accept_ra", "0")
	n.SetSysctl("net.ipv6.conf.default.router_solicitations", "0")
}

// Name is the name given to New.
func (n *NS) Name() string { return n.name }

// Fd is a descriptor of the namespace, open as long as the test runs; for
// libraries that take one.
func (n *NS) Fd() int { return int(n.ns) }

// Path names the namespace for other programs (nsenter --net=PATH).
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.ns)) }

// Netlink gives a netlink handle whose sockets live in the namespace.
func (n *NS) Netlink() *netlink.Handle { return n.nl }

// Do runs fn inside the namespace, on the caller's goroutine, which is locked
// to its thread meanwhile: sockets and devices that fn opens, and processes it
// starts, belong to the namespace for good. Goroutines started by fn do not.
// Calls nest.
func (n *NS) Do(fn func()) {
	n.t.Helper()
	runtime.LockOSThread()
	prev, err := vnetns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		n.t.Fatalf("netns %s: %v", n.name, err)
	}
	if err := vnetns.Set(n.ns); err != nil {
		prev.Close()
		runtime.UnlockOSThread()
		n.t.Fatalf("netns %s: enter: %v", n.name, err)
	}
	// Deferred: fn may end the goroutine (t.Fatal) or panic.
	defer func() {
		defer prev.Close()
		if err := vnetns.Set(prev); err != nil {
			// The thread stays locked, and so dies with the goroutine
			// instead of running other code in the wrong namespace.
			panic(fmt.Sprintf("BUG: netns %s: cannot return from it: %v", n.name, err))
		}
		runtime.UnlockOSThread()
	}()
	fn()
}

// Go runs fn inside the namespace on a new goroutine that keeps its thread to
// itself, for code that opens sockets again and again. fn must not end the
// test.
func (n *NS) Go(fn func()) {
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with fn
		if err := vnetns.Set(n.ns); err != nil {
			panic(fmt.Sprintf("BUG: netns %s: enter: %v", n.name, err))
		}
		fn()
	}()
}

// Start starts cmd inside the namespace.
func (n *NS) Start(cmd *exec.Cmd) error {
	n.t.Helper()
	var err error
	n.Do(func() { err = cmd.Start() })
	return err
}

// must ends the test when err is not nil.
func (n *NS) must(err error, format string, args ...any) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("netns %s: %s: %v", n.name, fmt.Sprintf(format, args...), err)
	}
}
