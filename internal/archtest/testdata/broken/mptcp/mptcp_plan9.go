package mptcp

// Other modules are kept out of the core on every platform.
import _ "golang.org/x/sys/plan9" // want dependency
