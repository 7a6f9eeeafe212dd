package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the bytes of b to the one's complement sum initial and gives the
// new sum, not complemented (RFC 1071). The bytes count as 16-bit words in
// network order from the start of b; an odd last byte is followed by a zero.
// Sums of pieces go together by Sum(next, previous) when the previous piece
// has an even length, and by CombineSums otherwise.
func Sum(b []byte, initial uint16) uint16 {
	// The sum does not care in which byte order words are added as long as
	// the result is swapped at the end (RFC 1071 section 2(B)), nor how many
	// 16-bit words are added side by side.
	s := uint64(bits.ReverseBytes16(initial))
	var c uint64
	for len(b) >= 64 {
		p := b[:64:64]
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[0:8]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[8:16]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[16:24]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[24:32]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[32:40]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[40:48]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[48:56]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[56:64]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), c)
		b = b[8:]
	}
	if len(b) > 0 {
		var last uint64
		for i, x := range b {
			last |= uint64(x) << (8 * i)
		}
		s, c = bits.Add64(s, last, c)
	}
	s, c = bits.Add64(s, 0, c)
	return bits.ReverseBytes16(fold(s + c))
}

// CombineSums gives the sum of two adjacent pieces from the sum of each, where
// the first is firstLen bytes long.
func CombineSums(first uint16, firstLen int, second uint16) uint16 {
	if firstLen&1 != 0 {
		second = bits.ReverseBytes16(second)
	}
	return fold(uint64(first) + uint64(second))
}

// fold brings a wide one's complement sum down to 16 bits. Only a sum of
// zeros folds to zero.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// DSSChecksum is the checksum field of a mapping whose data has the sum
// dataSum, over all of the mapping from its first byte on (RFC 8684 section
// 3.3.1). dsn is the full 64-bit number also where the option carries 32 bits;
// length is the data-level length, with the DATA_FIN if there is one.
func DSSChecksum(dsn uint64, ssn uint32, length uint16, dataSum uint16) uint16 {
	return ^dssSum(dsn, ssn, length, 0, dataSum)
}

// VerifyDSSChecksum reports whether checksum is right for a received mapping;
// the other arguments are as for DSSChecksum.
func VerifyDSSChecksum(dsn uint64, ssn uint32, length, checksum uint16, dataSum uint16) bool {
	return dssSum(dsn, ssn, length, checksum, dataSum) == 0xffff
}

// dssSum is the sum over the MPTCP pseudo-header (RFC 8684 figure 10) and the
// data.
func dssSum(dsn uint64, ssn uint32, length, checksum uint16, dataSum uint16) uint16 {
	return fold(dsn>>32 + dsn&0xffffffff + uint64(ssn) +
		uint64(length) + uint64(checksum) + uint64(dataSum))
}
