package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Network is the part of an Address before the "@", in HAProxy's words.
type Network string

// Networks.
const (
	NetworkAny    Network = ""       // not said: what the place it is in is for
	NetworkMPTCP  Network = "mptcp"  // Multipath TCP over IPv4 or IPv6
	NetworkMPTCP4 Network = "mptcp4" // over IPv4
	NetworkMPTCP6 Network = "mptcp6" // over IPv6
	NetworkTCP    Network = "tcp"    // plain TCP over IPv4 or IPv6
	NetworkTCP4   Network = "tcp4"   // over IPv4
	NetworkTCP6   Network = "tcp6"   // over IPv6
	NetworkUnix   Network = "unix"   // a socket in the file system
	NetworkFD     Network = "fd"     // a socket that was passed to the process, as systemd does
)

var networks = []Network{NetworkMPTCP, NetworkMPTCP4, NetworkMPTCP6, NetworkTCP, NetworkTCP4, NetworkTCP6,
	NetworkUnix, NetworkFD}

// Multipath says whether the network is Multipath TCP.
func (n Network) Multipath() bool {
	return n == NetworkMPTCP || n == NetworkMPTCP4 || n == NetworkMPTCP6
}

// family gives 4 or 6 for networks of one family, else 0.
func (n Network) family() int {
	switch n {
	case NetworkMPTCP4, NetworkTCP4:
		return 4
	case NetworkMPTCP6, NetworkTCP6:
		return 6
	}
	return 0
}

// Address is a transport address with HAProxy's prefixes: mptcp@:443,
// tcp4@192.0.2.1:80, mptcp6@[2001:db8::1]:443, unix@/run/web.sock, fd@3 or
// fd@name for a socket passed by systemd. ipv4@ and ipv6@ are other words for
// tcp4@ and tcp6@. Without prefix it is Multipath TCP for a listener and TCP for
// a backend.
type Address struct {
	Network Network
	// Host is a name or an address without brackets; empty: all addresses.
	Host string
	Port uint16
	// Path is that of unix@, or what stands behind fd@.
	Path string
}

// String gives the address as it is written.
func (a Address) String() string {
	s := a.Path
	if s == "" {
		s = a.HostPort()
	}
	if a.Network != NetworkAny {
		s = string(a.Network) + "@" + s
	}
	return s
}

// HostPort gives "host:port".
func (a Address) HostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// MarshalText writes what UnmarshalText reads.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an address.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	network, rest, prefixed := strings.Cut(s, "@")
	if !prefixed {
		network, rest = "", s
	}
	switch network {
	case "ipv4":
		network = string(NetworkTCP4)
	case "ipv6":
		network = string(NetworkTCP6)
	}
	got := Address{Network: Network(network)}
	if prefixed && !isNetwork(got.Network) {
		return fmt.Errorf("%s: unknown network %s; %s", quote(s), quote(network), suggest(network, networkNames()))
	}
	if got.Network == NetworkUnix || got.Network == NetworkFD {
		if rest == "" || strings.ContainsAny(rest, "\x00\n") {
			return fmt.Errorf("%s: nothing behind the %s", quote(s), quote("@"))
		}
		got.Path = rest
		*a = got
		return nil
	}
	if err := got.setHostPort(rest); err != nil {
		return fmt.Errorf("%s: %v", quote(s), err)
	}
	*a = got
	return nil
}

func (a *Address) setHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("want host:port, such as 192.0.2.1:80, [2001:db8::1]:80 or :80")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("the port is not a number of 0 to 65535")
	}
	if host == "*" { // HAProxy's way to write it
		host = ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if family := a.Network.family(); family == 4 && !ip.Is4() || family == 6 && ip.Is4() {
			return fmt.Errorf("the address is not of the family of %s", a.Network)
		}
	} else if host != "" && !isHostName(host) {
		return fmt.Errorf("%s is neither an address nor the name of a host", quote(host))
	}
	a.Host, a.Port = host, uint16(n)
	return nil
}

func isNetwork(n Network) bool {
	for _, known := range networks {
		if n == known {
			return true
		}
	}
	return false
}

func networkNames() []string {
	var names []string
	for _, n := range networks {
		names = append(names, string(n))
	}
	return names
}

// isHostName says whether s may be the name of a host: labels of letters,
// digits, hyphens and, since names inside of networks have them, underscores.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
				continue
			}
			return false
		}
	}
	return true
}
