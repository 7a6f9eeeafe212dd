package stack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

var (
	// ErrNoAddress: the stack has no address that fits.
	ErrNoAddress = errors.New("stack: no such local address")
	// ErrNoPort: every port towards that remote address is in use.
	ErrNoPort = errors.New("stack: no free port")
	// ErrAddressInUse: something listens there, or the 4-tuple is taken.
	ErrAddressInUse = errors.New("stack: address in use")
	// ErrBadAddress: not an address a host can have, or have twice.
	ErrBadAddress = errors.New("stack: bad address")
)

// Address is an address of the host, and what the path manager does with it.
type Address struct {
	Addr netip.Addr
	// Public is the address under which peers reach Addr, where it is
	// translated on the way; zero: Addr itself.
	Public netip.Addr
	Bits   int   // length of the on-link prefix, 0 if nothing is on link
	MTU    int   // of the way out, bytes; 0 means 1500
	ID     uint8 // address ID; 0: chosen
	Flags  mptcp.EndpointFlags
}

// AddAddress gives the host an address. Connections may open subflows from it,
// and announce it, as its flags say.
func (s *Stack) AddAddress(now time.Time, a Address) error {
	if !a.Addr.IsValid() || a.Addr.IsUnspecified() || a.Addr.IsMulticast() || a.Addr.Is4In6() {
		return fmt.Errorf("%w: %v", ErrBadAddress, a.Addr)
	}
	if _, have := s.address(a.Addr); have {
		return fmt.Errorf("%w: %v is there already", ErrBadAddress, a.Addr)
	}
	if a.MTU == 0 {
		a.MTU = 1500
	}
	if a.ID == 0 {
		a.ID = s.freeID()
	}
	s.addrs = append(s.addrs, a)
	ep := mptcp.Endpoint{Addr: a.Addr, Public: a.Public, Bits: a.Bits, ID: a.ID, Flags: a.Flags}
	s.endpoints = append(s.endpoints, ep)
	for e := range s.entries.all {
		e.conn.AddEndpoint(now, ep)
	}
	return nil
}

// RemoveAddress takes an address away: what used it ends, and the peers of
// connections that go on are told.
func (s *Stack) RemoveAddress(now time.Time, addr netip.Addr) error {
	i := slices.IndexFunc(s.addrs, func(a Address) bool { return a.Addr == addr })
	if i < 0 {
		return fmt.Errorf("%w: %v", ErrNoAddress, addr)
	}
	ep := s.endpoints[i]
	s.addrs = slices.Delete(s.addrs, i, i+1)
	s.endpoints = slices.Delete(s.endpoints, i, i+1)
	for e := range s.entries.all {
		e.conn.RemoveEndpoint(now, ep)
		e.Wake(e.conn)
	}
	return nil
}

// SetBackup says whether subflows from an address are to carry data only when
// no others work. It holds for the subflows there are, whose peers are told,
// and for those to come. The error is ErrNoAddress.
func (s *Stack) SetBackup(now time.Time, addr netip.Addr, backup bool) error {
	a, have := s.address(addr)
	if !have {
		return fmt.Errorf("%w: %v", ErrNoAddress, addr)
	}
	flags := a.Flags &^ mptcp.EndpointBackup
	if backup {
		flags |= mptcp.EndpointBackup
	}
	return s.SetFlags(now, addr, flags)
}

// SetFlags changes what an address is used for: for connections to come, and as
// far as EndpointBackup goes for the subflows there are, whose peers are told.
// The error is ErrNoAddress.
func (s *Stack) SetFlags(now time.Time, addr netip.Addr, flags mptcp.EndpointFlags) error {
	i := slices.IndexFunc(s.addrs, func(a Address) bool { return a.Addr == addr })
	if i < 0 {
		return fmt.Errorf("%w: %v", ErrNoAddress, addr)
	}
	s.addrs[i].Flags, s.endpoints[i].Flags = flags, flags
	for e := range s.entries.all {
		e.conn.SetBackup(now, addr, flags&mptcp.EndpointBackup != 0)
	}
	return nil
}

// PublicAddr gives the address under which peers reach one of the stack's: its
// Public one, where it has one.
func (s *Stack) PublicAddr(addr netip.Addr) netip.Addr {
	if a, ok := s.address(addr); ok && a.Public.IsValid() {
		return a.Public
	}
	return addr
}

func (s *Stack) address(a netip.Addr) (*Address, bool) {
	for i := range s.addrs {
		if s.addrs[i].Addr == a {
			return &s.addrs[i], true
		}
	}
	return nil, false
}

// freeID finds an address ID nobody has (RFC 8684 section 3.2: it names one
// address of the host in a connection). One that became free comes again last:
// a peer may have missed that its address was removed.
func (s *Stack) freeID() uint8 {
	for range 255 {
		if s.lastID++; s.lastID == 0 {
			s.lastID = 1
		}
		if !slices.ContainsFunc(s.addrs, func(a Address) bool { return a.ID == s.lastID }) {
			break
		}
	}
	return s.lastID
}

// sourceFor chooses the local address for a destination: one on the same link,
// else the first of the family.
func (s *Stack) sourceFor(remote netip.Addr) (netip.Addr, bool) {
	var any netip.Addr
	for _, a := range s.addrs {
		if a.Addr.Is4() != remote.Is4() {
			continue
		}
		if p, err := a.Addr.Prefix(a.Bits); err == nil && a.Bits > 0 && p.Contains(remote) {
			return a.Addr, true
		}
		if !any.IsValid() {
			any = a.Addr
		}
	}
	return any, any.IsValid()
}

const (
	firstPort = 32768
	lastPort  = 60999
)

// freePort finds a port for connections from addr to remote, prefer if it is
// free; where the search begins is unpredictable (RFC 6056).
func (s *Stack) freePort(addr netip.Addr, remote netip.AddrPort, prefer uint16) (uint16, bool) {
	free := func(port uint16) bool {
		t := fourTuple{netip.AddrPortFrom(addr, port), remote}
		_, used := s.bySegment[t]
		return !used && !s.waits.has(t)
	}
	if prefer != 0 && free(prefer) {
		return prefer, true
	}
	const n = lastPort - firstPort + 1
	start := s.cfg.Rand() % n
	for i := range uint64(n) {
		if port := uint16(firstPort + (start+i)%n); free(port) {
			return port, true
		}
	}
	return 0, false
}
