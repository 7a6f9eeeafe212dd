// Package archtest holds the module to its architecture: which package may
// import which, what the protocol core must never do, and which other modules
// are used by whom and why. Every rule carries its reason, which is printed
// with each violation. ARCHITECTURE.md shows the same tables; the test keeps
// the two equal.
package archtest
