package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
)

// The generic netlink family of the path manager (linux/mptcp_pm.h).
const (
	pmFamily      = "mptcp_pm"
	pmEventsGroup = "mptcp_pm_events"
	pmVersion     = 1
)

// Commands.
const (
	cmdAddAddr = iota + 1
	cmdDelAddr
	cmdGetAddr
	cmdFlushAddrs
	cmdSetLimits
	cmdGetLimits
	cmdSetFlags
)

// Attributes of a command.
const (
	attrAddr = iota + 1
	attrRcvAddAddrs
	attrSubflows
)

// Attributes of an address.
const (
	addrFamily = iota + 1
	addrID
	addrAddr4
	addrAddr6
	addrPort
	addrFlags
	addrIfIndex
)

// encodeEndpoint gives the attributes of a command about e, whose interface has
// the given index.
func encodeEndpoint(e Endpoint, ifIndex int) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(attrAddr, func(ae *netlink.AttributeEncoder) error {
		switch {
		case e.Addr.Is4():
			ae.Uint16(addrFamily, afInet)
			ae.Bytes(addrAddr4, e.Addr.AsSlice())
		case e.Addr.Is6():
			ae.Uint16(addrFamily, afInet6)
			ae.Bytes(addrAddr6, e.Addr.AsSlice())
		}
		if e.ID != 0 {
			ae.Uint8(addrID, e.ID)
		}
		if e.Port != 0 {
			ae.Uint16(addrPort, e.Port)
		}
		ae.Uint32(addrFlags, uint32(e.Flags))
		if ifIndex != 0 {
			ae.Int32(addrIfIndex, int32(ifIndex))
		}
		return nil
	})
	return ae.Encode()
}

// decodeEndpoint reads an endpoint and the index of its interface.
func decodeEndpoint(b []byte) (e Endpoint, ifIndex int, err error) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return e, 0, fmt.Errorf("kernel: endpoint: %w", err)
	}
	for ad.Next() {
		if ad.Type() != attrAddr {
			continue
		}
		ad.Nested(func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				switch ad.Type() {
				case addrID:
					e.ID = ad.Uint8()
				case addrAddr4, addrAddr6:
					e.Addr, _ = netip.AddrFromSlice(ad.Bytes())
				case addrPort:
					e.Port = ad.Uint16()
				case addrFlags:
					e.Flags = EndpointFlags(ad.Uint32())
				case addrIfIndex:
					ifIndex = int(ad.Int32())
				}
			}
			return ad.Err()
		})
	}
	if err := ad.Err(); err != nil {
		return e, 0, fmt.Errorf("kernel: endpoint: %w", err)
	}
	return e, ifIndex, nil
}

func encodeLimits(l Limits) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(attrRcvAddAddrs, l.AddAddrAccepted)
	ae.Uint32(attrSubflows, l.Subflows)
	return ae.Encode()
}

func decodeLimits(b []byte) (l Limits, err error) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return l, fmt.Errorf("kernel: limits: %w", err)
	}
	for ad.Next() {
		switch ad.Type() {
		case attrRcvAddAddrs:
			l.AddAddrAccepted = ad.Uint32()
		case attrSubflows:
			l.Subflows = ad.Uint32()
		}
	}
	if err := ad.Err(); err != nil {
		return l, fmt.Errorf("kernel: limits: %w", err)
	}
	return l, nil
}

// bigEndian16 reads a port of an event.
func bigEndian16(b []byte) uint16 {
	if len(b) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}
