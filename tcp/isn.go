package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// ISNSource makes initial sequence numbers that cannot be guessed and yet grow
// for each 4-tuple (RFC 6528 section 3): a clock of 4 microseconds plus a keyed
// hash. It is read only after it was made.
type ISNSource struct{ secret [32]byte }

// NewISNSource makes a source from a secret that stays the same for the life
// of the host.
func NewISNSource(secret [32]byte) ISNSource { return ISNSource{secret} }

// hash is F(localip, localport, remoteip, remoteport, secretkey), one for each
// purpose. The secret stands first in a message of fixed length, so that
// nothing can be appended to what was hashed.
func (s *ISNSource) hash(purpose byte, local, remote netip.AddrPort) uint32 {
	var buf [32 + 1 + 2*18]byte
	b := append(buf[:0], s.secret[:]...)
	b = append(b, purpose)
	for _, a := range [...]netip.AddrPort{local, remote} {
		ip := a.Addr().As16()
		b = append(b, ip[:]...)
		b = binary.BigEndian.AppendUint16(b, a.Port())
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint32(sum[:])
}

// Next is the initial sequence number for a connection that begins now.
func (s *ISNSource) Next(now time.Time, local, remote netip.AddrPort) uint32 {
	return uint32(now.UnixNano()/4000) + s.hash('i', local, remote)
}

// TimestampOffset is what a 4-tuple's timestamp clock begins with (RFC 7323
// section 5.4). It is the same for every connection of the 4-tuple, so that
// timestamps grow from one to the next (RFC 6191 section 3).
func (s *ISNSource) TimestampOffset(local, remote netip.AddrPort) uint32 {
	return s.hash('t', local, remote)
}
