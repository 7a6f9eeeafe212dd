// Package afpacket sends and receives IP packets on a host's own addresses
// through a packet socket, beside the kernel's stack, for set-ups where routing
// through a TUN interface is not wanted.
//
// A range of ports is taken for the device's user: for every port a kernel
// socket listens, behind a filter that drops all. So nobody else gets the port,
// and the kernel answers none of the packets that come for it, neither with a
// SYN/ACK nor with a reset. What is not TCP for these ports, nor ICMP about
// them, stays with the kernel alone.
//
// The socket has segmentation and checksum offload in both directions
// (PACKET_VNET_HDR). Link-layer addresses are the kernel's affair: the device
// asks its routing and neighbour tables and follows their changes.
//
// # Limitations
//
// Interfaces are Ethernet or look like it. Packets pass around the host's
// firewall in both directions. Packets to the host itself do not arrive.
//
// Open needs CAP_NET_RAW and CAP_NET_ADMIN. On other systems than Linux it
// fails with ErrNotLinux.
package afpacket

import (
	"errors"
	"fmt"
	"net/netip"
)

// Config says where packets are taken from.
type Config struct {
	Interface string
	// Addrs are addresses of the interface; empty: all it has, except those of
	// link-local scope.
	Addrs []netip.Addr
	// Ports are taken at each of Addrs.
	Ports PortRange
}

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// String is "FIRST-LAST", or the port if it is one.
func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// maxPorts bounds the range: every port of every address costs a socket.
const maxPorts = 1024

// MaxPacket is the largest packet that can be read, and written with SegSize
// set: an IPv6 packet without jumbo payload.
const MaxPacket = 40 + 65535

var (
	// ErrNotLinux is returned by Open on other systems than Linux.
	ErrNotLinux = errors.New("afpacket: needs Linux")
	// ErrPermission is returned by Open without the privilege.
	ErrPermission = errors.New("afpacket: needs CAP_NET_RAW and CAP_NET_ADMIN")
	// ErrConfig wraps what is wrong with a Config.
	ErrConfig = errors.New("afpacket: bad configuration")
	// ErrPortTaken is returned by Open when one of the ports is in use.
	ErrPortTaken = errors.New("afpacket: port in use")
	// ErrGone is returned by Read and Write once the interface was deleted.
	ErrGone = errors.New("afpacket: interface was deleted")
	// ErrPacket wraps the refusal of a packet by Write: it is no IP packet, its
	// offload fields do not suit it, or it is too large.
	ErrPacket = errors.New("afpacket: packet refused")
)

func (c Config) validate() error {
	switch {
	case c.Interface == "":
		return fmt.Errorf("%w: no interface", ErrConfig)
	case c.Ports.First == 0 || c.Ports.Last < c.Ports.First:
		return fmt.Errorf("%w: ports %s", ErrConfig, c.Ports)
	case int(c.Ports.Last)-int(c.Ports.First)+1 > maxPorts:
		return fmt.Errorf("%w: ports %s are more than %d", ErrConfig, c.Ports, maxPorts)
	case len(c.Addrs) > maxAddrs:
		return fmt.Errorf("%w: more than %d addresses", ErrConfig, maxAddrs)
	}
	for _, a := range c.Addrs {
		if !a.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return fmt.Errorf("%w: address %s", ErrConfig, a)
		}
	}
	return nil
}
