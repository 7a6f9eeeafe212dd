package relay

import (
	"fmt"
	"net"
	"strings"
)

// Address is an address with a prefix that says how it is spoken to, as in
// HAProxy's configuration: "mptcp@:2222", "tcp6@[::1]:22".
type Address struct {
	Multipath bool
	Network   string // "tcp", "tcp4" or "tcp6"
	Address   string // host and port
}

var prefixes = []struct {
	prefix string
	Address
}{
	{"mptcp@", Address{Multipath: true, Network: "tcp"}},
	{"mptcp4@", Address{Multipath: true, Network: "tcp4"}},
	{"mptcp6@", Address{Multipath: true, Network: "tcp6"}},
	{"tcp@", Address{Network: "tcp"}},
	{"tcp4@", Address{Network: "tcp4"}},
	{"tcp6@", Address{Network: "tcp6"}},
}

// ParseAddress reads an address with a prefix, or one without if multipath says
// what that means.
func ParseAddress(text string, multipath bool) (Address, error) {
	a := Address{Multipath: multipath, Network: "tcp", Address: text}
	if at := strings.IndexByte(text, '@'); at >= 0 {
		known := false
		for _, p := range prefixes {
			if rest, ok := strings.CutPrefix(text, p.prefix); ok {
				a, known = p.Address, true
				a.Address = rest
			}
		}
		if !known {
			return a, fmt.Errorf("address %q: prefix %q is none of mptcp@ mptcp4@ mptcp6@ tcp@ tcp4@ tcp6@", text, text[:at+1])
		}
	}
	_, port, err := net.SplitHostPort(a.Address)
	if err == nil && port == "" {
		err = fmt.Errorf("no port")
	}
	if err != nil {
		return a, fmt.Errorf("address %q: %w", text, err)
	}
	return a, nil
}

// String is the address with its prefix.
func (a Address) String() string {
	if a.Multipath {
		return "mp" + a.Network + "@" + a.Address
	}
	return a.Network + "@" + a.Address
}
