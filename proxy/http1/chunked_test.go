package http1

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// feedChunked gives the body to a Chunked in pieces of the given sizes, the way
// the engine does: in place, with the rest of each piece before the next.
func feedChunked(c *Chunked, body string, size func() int, lim *Limits) (out string, used int, done bool, err error) {
	var b []byte
	left := body
	var all strings.Builder
	for {
		n := min(size(), len(left))
		b = append(b, left[:n]...)
		left = left[n:]
		ready, consumed, done, err := c.Next(b, lim)
		all.Write(b[:ready])
		used += consumed
		if err != nil || done || n == 0 {
			return all.String(), used, done, err
		}
		b = append([]byte(nil), b[consumed:]...)
	}
}

var chunkedBodies = []struct{ body, canonical, data string }{
	{"0\r\n\r\n", "0\r\n\r\n", ""},
	{"3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc"},
	{"003;x=y\r\nabc\r\n000\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc"},
	{"1 ; a = \"b;c\" \r\na\r\nB\r\n0123456789a\r\n0;z\r\nX: y\r\nHost: z\r\nConnection: close\r\nZ:w\r\n\r\n",
		"1\r\na\r\nb\r\n0123456789a\r\n0\r\nX: y\r\nZ:w\r\n\r\n", "a0123456789a"},
}

func TestChunked(t *testing.T) {
	lim := &Limits{}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tt := range chunkedBodies {
		sizes := []func() int{
			func() int { return 1 },
			func() int { return 1000 },
			func() int { return 1 + rng.IntN(7) },
		}
		for i, size := range sizes {
			for _, decode := range []bool{false, true} {
				c := Chunked{Decode: decode}
				out, used, done, err := feedChunked(&c, tt.body, size, lim)
				want := tt.canonical
				if decode {
					want = tt.data
				}
				if out != want || used != len(tt.body) || !done || err != nil {
					t.Errorf("%q, sizes %d, decode %v: got %q, %d, %v, %v, want %q", tt.body, i, decode, out, used, done, err, want)
				}
				if !c.Done() || c.Data != int64(len(tt.data)) {
					t.Errorf("%q: got done %v, %d bytes of data, want %d", tt.body, c.Done(), c.Data, len(tt.data))
				}
			}
		}
	}
}

// TestChunkedBehind shows that what follows a body is left alone.
func TestChunkedBehind(t *testing.T) {
	var c Chunked
	b := []byte("03;ext\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n")
	out, n, done, err := c.Next(b, &Limits{})
	if string(b[:out]) != "3\r\nabc\r\n0\r\n\r\n" || string(b[n:]) != "GET / HTTP/1.1\r\n" || !done || err != nil {
		t.Errorf("got %q, rest %q, %v, %v", b[:out], b[n:], done, err)
	}
	if out, n, done, err := c.Next(b, &Limits{}); out != 0 || n != 0 || !done || err != nil {
		t.Errorf("after the end: got %d, %d, %v, %v", out, n, done, err)
	}
	c.Reset()
	if _, _, done, err := c.Next([]byte("0\r\n\r\n"), &Limits{}); !done || err != nil {
		t.Errorf("reset: got %v, %v", done, err)
	}
}

// TestChunkedFaults gives each malformed body in one piece and byte by byte.
func TestChunkedFaults(t *testing.T) {
	lim := &Limits{Line: 40, Head: 60, Fields: 3}
	for _, tt := range []struct {
		body string
		want error
	}{
		{"\r\n", ErrChunkSize},
		{"g\r\n", ErrChunkSize},
		{"-1\r\n", ErrChunkSize},
		{"1 \r\n", ErrChunkSize},
		{"1\n", ErrChunkSize},
		{"1\rx", ErrChunkSize},
		{"1;\n\r\n", ErrChunkSize},
		{"1;a\x7f\r\n", ErrChunkSize},
		{"00000000000000001\r\n", ErrChunkSize},
		{"8000000000000000\r\n", ErrChunkSize},
		{"1\r\nab", ErrChunkEnd},
		{"1\r\na\n", ErrChunkEnd},
		{"1\r\na\rx", ErrChunkEnd},
		{"1;" + strings.Repeat("x", 50), ErrChunkLine},
		{"1;" + strings.Repeat("x", 50) + "\r\n", ErrChunkLine},
		{"0\r\nX: " + strings.Repeat("x", 70) + "\r\n", ErrTrailerLength},
		{"0\r\nA: a\r\nB: b\r\nC: c\r\nD: d\r\n", ErrFields},
		{"0\r\n X: y\r\n", ErrFold},
		{"0\r\n\n", ErrLineEnd},
	} {
		for _, size := range []int{1, 1000} {
			var c Chunked
			_, _, done, err := feedChunked(&c, tt.body, func() int { return size }, lim)
			if done || err != tt.want {
				t.Errorf("%q by %d: got %v, %v, want %v", tt.body, size, done, err, tt.want)
			}
		}
	}
}

func TestAppendChunkSize(t *testing.T) {
	for size, want := range map[int64]string{
		1: "1\r\n", 15: "f\r\n", 16: "10\r\n", 0xabc: "abc\r\n", 1<<63 - 1: "7fffffffffffffff\r\n",
	} {
		if got := string(appendChunkSize(nil, size)); got != want {
			t.Errorf("%d: got %q, want %q", size, got, want)
		}
	}
}
