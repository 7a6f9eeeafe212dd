package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

func frame4(dst string, protocol byte, ihl int, upper []byte) []byte {
	b := make([]byte, etherLen+ihl)
	b[12], b[13] = 0x08, 0x00
	ip := b[etherLen:]
	ip[0] = byte(4<<4 | ihl/4)
	ip[9] = protocol
	a := netip.MustParseAddr(dst).As4()
	copy(ip[16:], a[:])
	return append(b, upper...)
}

func frame6(dst string, next byte, upper []byte) []byte {
	b := make([]byte, etherLen+40)
	b[12], b[13] = 0x86, 0xdd
	ip := b[etherLen:]
	ip[0], ip[6] = 6<<4, next
	a := netip.MustParseAddr(dst).As16()
	copy(ip[24:], a[:])
	return append(b, upper...)
}

// tcp is a TCP header between the ports.
func tcp(src, dst uint16) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	b[12] = 5 << 4
	return b
}

// icmp is an ICMP error about a packet, of either version.
func icmp(typ byte, about []byte) []byte {
	return append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, about[etherLen:]...)
}

func TestFilter(t *testing.T) {
	const us4, us4b, us6, other4, other6 = "10.0.0.1", "10.0.0.9", "fd00::1", "10.0.0.2", "fd00::2"
	addrs := []netip.Addr{netip.MustParseAddr(us4), netip.MustParseAddr(us6), netip.MustParseAddr(us4b)}
	vm, err := bpf.NewVM(filter(addrs, PortRange{5000, 5009}))
	if err != nil {
		t.Fatal(err)
	}
	fragment := frame4(us4, 6, 20, tcp(80, 5000))
	fragment[etherLen+6] = 0x20 // more fragments
	laterFragment := frame4(us4, 6, 20, tcp(80, 5000))
	laterFragment[etherLen+7] = 5
	dontFragment := frame4(us4, 6, 20, tcp(80, 5000))
	dontFragment[etherLen+6] = 0x40
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"first port", frame4(us4, 6, 20, tcp(80, 5000)), true},
		{"last port", frame4(us4, 6, 20, tcp(80, 5009)), true},
		{"another of our addresses", frame4(us4b, 6, 20, tcp(80, 5000)), true},
		{"IPv6", frame6(us6, 6, tcp(80, 5005)), true},
		{"IPv4 options", frame4(us4, 6, 32, tcp(80, 5000)), true},
		{"may not be fragmented", dontFragment, true},
		{"below the ports", frame4(us4, 6, 20, tcp(80, 4999)), false},
		{"above the ports", frame4(us4, 6, 20, tcp(80, 5010)), false},
		{"IPv6, above the ports", frame6(us6, 6, tcp(80, 5010)), false},
		{"from one of the ports", frame4(us4, 6, 20, tcp(5000, 80)), false},
		{"to somebody else", frame4(other4, 6, 20, tcp(80, 5000)), false},
		{"to somebody else, IPv6", frame6(other6, 6, tcp(80, 5000)), false},
		{"UDP", frame4(us4, 17, 20, tcp(80, 5000)), false},
		{"UDP, IPv6", frame6(us6, 17, tcp(80, 5000)), false},
		{"first fragment", fragment, false},
		{"later fragment", laterFragment, false},
		{"ARP", append([]byte{12: 8, 13: 6}, frame4(us4, 6, 20, tcp(80, 5000))[14:]...), false},
		{"ICMP about our TCP", frame4(us4, 1, 20, icmp(3, frame4(other4, 6, 20, tcp(5000, 80)))), true},
		{"ICMP about another port", frame4(us4, 1, 20, icmp(3, frame4(other4, 6, 20, tcp(6000, 80)))), false},
		{"ICMP about UDP", frame4(us4, 1, 20, icmp(3, frame4(other4, 17, 20, tcp(5000, 80)))), false},
		{"ping", frame4(us4, 1, 20, icmp(8, frame4(other4, 6, 20, tcp(5000, 80)))), false},
		{"ICMPv6 too big", frame6(us6, 58, icmp(2, frame6(other6, 6, tcp(5000, 80)))), true},
		{"ICMPv6 about another port", frame6(us6, 58, icmp(2, frame6(other6, 6, tcp(80, 5000)))), false},
		{"neighbour solicitation", frame6(us6, 58, icmp(135, frame6(other6, 6, tcp(5000, 80)))), false},
		{"cut short", frame4(us4, 6, 20, nil), false},
		{"empty", nil, false},
	} {
		n, err := vm.Run(tt.frame)
		if err != nil {
			t.Fatal(err)
		}
		if got := n >= len(tt.frame) && n > 0; got != tt.want {
			t.Errorf("%s: taken %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFilterOfManyAddressesAssembles(t *testing.T) {
	var addrs []netip.Addr
	for i := range maxAddrs {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("fd00::%x", i+1)))
	}
	raw, err := bpf.Assemble(append(onlyToUs(), filter(addrs, PortRange{1, 2})...))
	if err != nil || len(raw) > 4096 {
		t.Errorf("%d instructions, %v", len(raw), err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	ok := Config{Interface: "eth0", Ports: PortRange{5000, 5000}}
	if err := ok.validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Interface = "" },
		func(c *Config) { c.Ports = PortRange{} },
		func(c *Config) { c.Ports = PortRange{5, 4} },
		func(c *Config) { c.Ports = PortRange{1, 2000} },
		func(c *Config) { c.Addrs = []netip.Addr{{}} },
		func(c *Config) { c.Addrs = []netip.Addr{netip.MustParseAddr("0.0.0.0")} },
		func(c *Config) { c.Addrs = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")} },
		func(c *Config) { c.Addrs = []netip.Addr{netip.MustParseAddr("ff02::1")} },
		func(c *Config) { c.Addrs = make([]netip.Addr, maxAddrs+1) },
	} {
		c := ok
		change(&c)
		if err := c.validate(); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want %v", c, err, ErrConfig)
		}
	}
}
