package wire

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// Token is the token of the connection whose host has key k: the first 32 bits
// of the key's hash (RFC 8684 section 3.2; SHA-1 in version 0, RFC 6824).
func Token(k Key, version uint8) uint32 {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(k))
	if version == V0 {
		h := sha1.Sum(b)
		return binary.BigEndian.Uint32(h[:])
	}
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint32(h[:])
}

// IDSN is the initial data sequence number of the host with key k: the last 64
// bits of the key's hash (RFC 8684 section 3.1; SHA-1 in version 0, RFC 6824).
func IDSN(k Key, version uint8) uint64 {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(k))
	if version == V0 {
		h := sha1.Sum(b)
		return binary.BigEndian.Uint64(h[sha1.Size-8:])
	}
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint64(h[sha256.Size-8:])
}

// JoinHMAC is the HMAC that the host with key local and nonce localNonce sends
// in MP_JOIN, its leftmost 160 bits; the SYN/ACK carries the first 64 of them
// (RFC 8684 section 3.2). What to expect from the peer is JoinHMAC with the
// sides exchanged.
func JoinHMAC(local, remote Key, localNonce, remoteNonce uint32, version uint8) [20]byte {
	msg := binary.BigEndian.AppendUint32(make([]byte, 0, 8), localNonce)
	msg = binary.BigEndian.AppendUint32(msg, remoteNonce)
	if version == V0 {
		return hmacSHA1(local, remote, msg)
	}
	h := hmacSHA256(local, remote, msg)
	return [20]byte(h[:20])
}

// AddAddrHMAC is the HMAC of an ADD_ADDR sent by the host with key local: the
// rightmost 64 bits over address ID, address and port, the port being zero
// where the option carries none (RFC 8684 section 3.4.1). a.HMAC, a.Echo and
// a.Version are not looked at.
func AddAddrHMAC(local, remote Key, a *AddAddr) [8]byte {
	msg := append(make([]byte, 0, 1+16+2), a.ID)
	msg = a.appendAddrPort(msg)
	if a.Port == 0 {
		msg = append(msg, 0, 0)
	}
	h := hmacSHA256(local, remote, msg)
	return [8]byte(h[len(h)-8:])
}

// EqualHMAC compares two HMACs in a time that depends on their length only.
func EqualHMAC(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// HMAC as RFC 2104 defines it, for our keys of 16 bytes and messages of at
// most 19: everything fits on the stack, so that a flood of joins costs hashing
// and nothing else. Both hashes work on blocks of 64 bytes.
const (
	hmacBlock  = 64
	hmacMaxMsg = 19
	innerPad   = 0x36
	outerPad   = 0x5c
)

// hmacKeyBlock fills b with the padded key, two keys end to end, XORed with pad.
func hmacKeyBlock(b *[hmacBlock]byte, first, second Key, pad uint8) {
	clear(b[:])
	binary.BigEndian.PutUint64(b[0:], uint64(first))
	binary.BigEndian.PutUint64(b[8:], uint64(second))
	for i := range b {
		b[i] ^= pad
	}
}

func hmacSHA256(first, second Key, msg []byte) [sha256.Size]byte {
	var inner [hmacBlock + hmacMaxMsg]byte
	hmacKeyBlock((*[hmacBlock]byte)(inner[:]), first, second, innerPad)
	h := sha256.Sum256(inner[:hmacBlock+copy(inner[hmacBlock:], msg)])

	var outer [hmacBlock + sha256.Size]byte
	hmacKeyBlock((*[hmacBlock]byte)(outer[:]), first, second, outerPad)
	copy(outer[hmacBlock:], h[:])
	return sha256.Sum256(outer[:])
}

func hmacSHA1(first, second Key, msg []byte) [sha1.Size]byte {
	var inner [hmacBlock + hmacMaxMsg]byte
	hmacKeyBlock((*[hmacBlock]byte)(inner[:]), first, second, innerPad)
	h := sha1.Sum(inner[:hmacBlock+copy(inner[hmacBlock:], msg)])

	var outer [hmacBlock + sha1.Size]byte
	hmacKeyBlock((*[hmacBlock]byte)(outer[:]), first, second, outerPad)
	copy(outer[hmacBlock:], h[:])
	return sha1.Sum(outer[:])
}
