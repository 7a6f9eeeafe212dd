// Package interop holds tests that run Braid, over a TUN interface, against the
// Multipath TCP of the Linux kernel: two network namespaces joined by one to
// four cables, the kernel's stack on one side and Braid's on the other.
//
// The kernel is the judge. Every case ends with its counters (MPTcpExt*): the
// joins that were meant to happen did, and nothing fell back, failed a
// checksum or was reset that was not meant to.
//
// The tests need root and skip, with the reason, without. BenchmarkBulk
// measures throughput and processor time over the same cables, with the
// kernel's stack on both sides for comparison:
//
//	go test -run '^$' -bench Bulk ./interop
package interop
