package http1

import "encoding/binary"

// class is a set of character classes of RFC 9110 section 5.6 and RFC 3986.
type class uint8

const (
	isToken  class = 1 << iota // tchar
	isTarget                   // a request target: visible ASCII except '#', which begins a fragment
	isHost                     // a host as in a URI, without the brackets of an IP literal
	isDigit
	isHex
)

// classes says for each byte what it may be part of.
var classes = func() (t [256]class) {
	add := func(c class, s string) {
		for i := range len(s) {
			t[s[i]] |= c
		}
	}
	for b := '0'; b <= '9'; b++ {
		t[b] |= isToken | isHost | isDigit | isHex
	}
	for b := 'a'; b <= 'z'; b++ {
		t[b] |= isToken | isHost
		t[b-'a'+'A'] |= isToken | isHost
	}
	add(isHex, "abcdefABCDEF")
	add(isToken, "!#$%&'*+-.^_`|~")
	add(isHost, "-._~%!$&'()*+,;=") // unreserved, pct-encoded, sub-delims
	for b := '!'; b <= '~'; b++ {
		if b != '#' {
			t[b] |= isTarget
		}
	}
	return t
}()

// all reports whether every byte of s is of class c.
func all(s []byte, c class) bool {
	for _, b := range s {
		if classes[b]&c == 0 {
			return false
		}
	}
	return true
}

// isFieldValue reports whether s holds only what a field value may: visible
// characters, space, tab and obs-text (RFC 9110 section 5.5). CR, LF and NUL in
// particular are not among them.
func isFieldValue(s []byte) bool {
	for len(s) >= 8 {
		if mayHoldControl(binary.LittleEndian.Uint64(s)) && !allText(s[:8]) {
			return false
		}
		s = s[8:]
	}
	return allText(s)
}

// mayHoldControl reports whether one of eight bytes may be below 0x20 or 0x7f.
// It can say yes for other bytes when a lower one borrows, never no for such.
func mayHoldControl(w uint64) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	low := (w - 0x20*ones) & ^w
	del := w ^ 0x7f*ones
	return (low | (del-ones) & ^del)&highs != 0
}

func allText(s []byte) bool {
	for _, b := range s {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// trimSpace removes optional whitespace, OWS of RFC 9110 section 5.6.3.
func trimSpace(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' }

// lower gives the lower case of an ASCII letter. Of the other bytes a token may
// hold it maps no two to the same one that folding could confuse: compare with
// what is lower case already.
func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// equalFold reports whether s equals want regardless of the case of ASCII
// letters. want is lower case.
func equalFold(s []byte, want string) bool {
	if len(s) != len(want) {
		return false
	}
	for i, b := range s {
		if b != want[i] && lower(b) != want[i] {
			return false
		}
	}
	return true
}

// nextItem takes the first item of a comma-separated list (RFC 9110 section
// 5.6.1), without the whitespace around it. Items may be empty.
func nextItem(list []byte) (item, rest []byte) {
	for i, b := range list {
		if b == ',' {
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), nil
}
