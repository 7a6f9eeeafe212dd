// Package netns builds networks out of Linux network namespaces for tests:
// hosts joined by veth pairs, with addresses, neighbours, routes, offloads,
// receive steering, rate limits and silent cuts, all set through netlink and
// /proc by the test itself. No program has to be installed.
//
// Namespaces are anonymous: nothing is written to /run/netns, and when the
// process ends, however it ends, the kernel takes them away. Two tests may use
// the same names at the same time.
//
// Every method reports failure through the TB its namespace was made with, so
// that a test reads as a plain list of steps. Methods that end a test may be
// called from the test's own goroutine only.
package netns

// TB is what the package needs of a *testing.T. The lab, which runs outside of
// tests, brings its own.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}
