package afpacket

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/vnet"
)

var errNotIP = errors.New("neither IPv4 nor IPv6")

// sender writes packets with their headers. One goroutine uses it.
type sender struct {
	mac  [6]byte // the interface's own
	mtu  int
	head [headLen]byte
	vec  *vnet.Vec // whose head is head
}

func newSender(mac [6]byte, mtu int) *sender {
	s := &sender{mac: mac, mtu: mtu}
	copy(s.head[vnet.Size+6:], mac[:])
	s.vec = vnet.NewVec(s.head[:])
	return s
}

// send writes p to the host with the link-layer address. bad says why p cannot
// be sent at all.
func (s *sender) send(fd uintptr, mac [6]byte, p *link.Packet) (errno unix.Errno, bad error) {
	if err := (*vnet.Header)(s.head[:vnet.Size]).Encode(p, etherLen, s.mtu); err != nil {
		return 0, err
	}
	copy(s.head[vnet.Size:], mac[:])
	etherType := uint16(etherIPv4)
	if p.Data[0]>>4 == 6 {
		etherType = etherIPv6
	}
	binary.BigEndian.PutUint16(s.head[vnet.Size+12:], etherType)
	return s.vec.Write(fd, p.Data, p.Payload), nil
}

// destination reads the destination address of an IP packet.
func destination(b []byte) (netip.Addr, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[16:20])), true
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return netip.Addr{}, false
}
