// Package status is what is known of a running proxy, as values.
//
// A Ledger keeps the books: what every client connection did on each of its
// paths (an Account each), and how requests went (a Series for each listener
// and pool). Its Totals only ever grow, which is what metrics need, also when
// connections and subflows end.
//
// A Snapshot is the proxy at one moment. Its JSON is meant to be relied on:
// names are in snake_case, with the unit where there is one, sizes are bytes,
// durations seconds, rates per second.
//
// # Limitations
//
// Paths are looked at from time to time. What a subflow of the kernel's stack
// carries between the last look and its end is not in the account of its path,
// because the kernel tells nothing of subflows that have ended.
package status
