package wire

import (
	"math/rand/v2"
	"testing"
)

// slowSum adds word by word as RFC 1071 describes it.
func slowSum(b []byte, initial uint16) uint16 {
	s := uint32(initial)
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
		s = s>>16 + s&0xffff
	}
	return uint16(s>>16 + s&0xffff)
}

func TestSum(t *testing.T) {
	for _, tc := range []struct {
		hex     string
		initial uint16
		want    uint16
	}{
		{"", 0, 0},
		{"", 0x1234, 0x1234},
		{"0001f203f4f5f6f7", 0, 0xddf2}, // RFC 1071 section 3
		{"00", 0, 0},
		{"01", 0, 0x0100},
		{"ffff", 0xffff, 0xffff},
		{"ffff", 1, 1},
		// An IPv4 header that holds its checksum.
		{"450000400000400040064e81c0000201c6336402", 0, 0xffff},
	} {
		if got := Sum(unhex(t, tc.hex), tc.initial); got != tc.want {
			t.Errorf("%s: got %#x, want %#x", tc.hex, got, tc.want)
		}
	}
}

func TestSumAgainstWordByWord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3000)
	for round := range 4000 {
		lo := r.IntN(64)
		b := data[lo : lo+r.IntN(min(1+round, len(data)-lo))]
		for i := range b {
			switch round % 3 {
			case 0:
				b[i] = byte(r.Uint32())
			case 1:
				b[i] = 0xff // as many carries as can be
			case 2:
				b[i] = 0
			}
		}
		initial := uint16(r.Uint32())
		want := slowSum(b, initial)
		if got := Sum(b, initial); got != want {
			t.Fatalf("%d bytes, initial %#x: got %#x, want %#x", len(b), initial, got, want)
		}
		cut := r.IntN(len(b) + 1)
		if got := CombineSums(Sum(b[:cut], initial), cut, Sum(b[cut:], 0)); got != want {
			t.Fatalf("%d bytes cut at %d: got %#x, want %#x", len(b), cut, got, want)
		}
	}
}

// testDSSChecksum compares with checksums computed with Python over
// struct.pack('>QIHH', dsn, ssn, len, 0) + data.
func testDSSChecksum(t *testing.T) {
	long := make([]byte, 1000)
	for i := range long {
		long[i] = byte(i * 7)
	}
	for _, tc := range []struct {
		dsn  uint64
		ssn  uint32
		data []byte
		want uint16
	}{
		{0x1122334455667788, 1, []byte("hello"), 0xaad2},
		{0xfffffffffffffffe, 0x89abcdef, long, 0x6796},
	} {
		n := uint16(len(tc.data))
		got := DSSChecksum(tc.dsn, tc.ssn, n, Sum(tc.data, 0))
		if got != tc.want {
			t.Errorf("%#x: got %#x, want %#x", tc.dsn, got, tc.want)
		}
		// The data may have come in segments of any length.
		for cut := range tc.data {
			sum := CombineSums(Sum(tc.data[:cut], 0), cut, Sum(tc.data[cut:], 0))
			if !VerifyDSSChecksum(tc.dsn, tc.ssn, n, tc.want, sum) {
				t.Errorf("%#x cut at %d: does not verify", tc.dsn, cut)
			}
		}
		sum := Sum(tc.data, 0)
		for name, ok := range map[string]bool{
			"DSN":      VerifyDSSChecksum(tc.dsn+1, tc.ssn, n, tc.want, sum),
			"high DSN": VerifyDSSChecksum(tc.dsn^1<<40, tc.ssn, n, tc.want, sum),
			"SSN":      VerifyDSSChecksum(tc.dsn, tc.ssn+1, n, tc.want, sum),
			"length":   VerifyDSSChecksum(tc.dsn, tc.ssn, n+1, tc.want, sum),
			"checksum": VerifyDSSChecksum(tc.dsn, tc.ssn, n, tc.want+1, sum),
			"data":     VerifyDSSChecksum(tc.dsn, tc.ssn, n, tc.want, sum+1),
		} {
			if ok {
				t.Errorf("%#x: a wrong %s verifies", tc.dsn, name)
			}
		}
	}
}
