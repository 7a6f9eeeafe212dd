package stack

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// Dial begins a connection to remote. A zero address or port of local is
// chosen. cfg nil means the stack's default. Errors: ErrNoAddress, ErrNoPort,
// ErrAddressInUse; what becomes of the attempt is told by events.
func (s *Stack) Dial(now time.Time, local, remote netip.AddrPort, cfg *mptcp.Config) (*mptcp.Conn, error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if !remote.IsValid() || remote.Port() == 0 || !validPeer(remote.Addr()) {
		return nil, ErrBadAddress
	}
	if a := local.Addr(); !a.IsValid() || a.IsUnspecified() {
		src, ok := s.sourceFor(remote.Addr())
		if !ok {
			return nil, ErrNoAddress
		}
		local = netip.AddrPortFrom(src, local.Port())
	}
	if cfg == nil {
		cfg = &s.cfg.Conn
	}
	e := s.newEntry()
	c, err := mptcp.Connect(now, e, *cfg, local, remote)
	if err != nil {
		s.drop(e)
		return nil, err
	}
	e.conn = c
	e.Wake(c)
	return c, nil
}
