// Package demo downloads a file over several emulated lines at once, cuts a
// line in the middle, and reports how the download fared.
//
// The file comes from an ordinary net/http file server on one Braid host and
// goes to an ordinary net/http client on another. Between the hosts every
// packet passes in its wire format over a lab.Emulator.
package demo
