package tcp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// Segments are written in tests as a line of text:
//
//	SA 0 ack 1 win 65535 <mss 1460, ws 7, sackok, ts 1000 0>
//	PA 1:1001 ack 1
//	A 1 ack 1 <sack 2921-4381 5841-7301>
//
// Flags first (of F S R P A U), then the position of the segment or the range
// of its payload, then acknowledgement, window in bytes (scaling undone), and
// options. Positions count from the sender's SYN, acknowledgements and SACK
// blocks from the receiver's. Timestamps are in ms, 1000 at the start of the
// test on our side and whatever the script says on the peer's.

const flagLetters = "FSRPAU" // in the order of their bits

// segTokens splits the text of a segment into words that can be compared one
// by one: "ack 1" and every option is one; options begin with "<".
func segTokens(s string) []string {
	head, opts, hasOpts := strings.Cut(s, "<")
	var toks []string
	words := strings.Fields(head)
	for i := 0; i < len(words); i++ {
		if (words[i] == "ack" || words[i] == "win") && i+1 < len(words) {
			toks = append(toks, words[i]+" "+words[i+1])
			i++
			continue
		}
		toks = append(toks, words[i])
	}
	if !hasOpts {
		return toks
	}
	opts = strings.TrimSuffix(strings.TrimSpace(opts), ">")
	for o := range strings.SplitSeq(opts, ",") {
		toks = append(toks, "<"+strings.Join(strings.Fields(o), " "))
	}
	return toks
}

// segMatches reports whether got is what want describes: flags and positions
// exactly, everything else as far as want names it; <> wants no options.
func segMatches(want, got string) bool {
	w, g := segTokens(want), segTokens(got)
	if len(w) < 2 || len(g) < 2 || w[0] != g[0] || w[1] != g[1] {
		return false
	}
	for _, tok := range w[2:] {
		switch {
		case tok == "<":
			if slices.ContainsFunc(g, func(s string) bool { return strings.HasPrefix(s, "<") }) {
				return false
			}
		case !slices.Contains(g, tok):
			return false
		}
	}
	return true
}

// numbering translates between positions in texts and numbers on the wire.
type numbering struct {
	sender, receiver uint32 // initial sequence numbers
	scale            uint8  // of the sender's window
}

// text renders a segment.
func (n numbering) text(seg *wire.Segment) string {
	var b strings.Builder
	for i, l := range flagLetters {
		if seg.Flags.Has(1 << i) {
			b.WriteRune(l)
		}
	}
	lo := seq.Unwrap32(0, n.sender, seg.Seq)
	if k := seq.Pos(len(seg.Payload)); k > 0 {
		fmt.Fprintf(&b, " %d:%d", lo, lo+k)
	} else {
		fmt.Fprintf(&b, " %d", lo)
	}
	if seg.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", seq.Unwrap32(0, n.receiver, seg.Ack))
	}
	if win := int(seg.Window); seg.Flags.Has(wire.SYN) {
		fmt.Fprintf(&b, " win %d", win)
	} else if !seg.Flags.Has(wire.RST) {
		fmt.Fprintf(&b, " win %d", win<<n.scale)
	}
	if opts := n.optionTexts(&seg.Options); len(opts) > 0 {
		fmt.Fprintf(&b, " <%s>", strings.Join(opts, ", "))
	}
	return b.String()
}

func (n numbering) optionTexts(o *wire.Options) []string {
	var opts []string
	add := func(is wire.OptionSet, format string, args ...any) {
		if o.Has(is) {
			opts = append(opts, fmt.Sprintf(format, args...))
		}
	}
	add(wire.HasMSS, "mss %d", o.MSS)
	add(wire.HasWindowScale, "ws %d", o.WindowScale)
	add(wire.HasSACKPermitted, "sackok")
	add(wire.HasTimestamps, "ts %d %d", o.TSVal, o.TSEcr)
	if o.Has(wire.HasSACK) {
		s := "sack"
		for _, blk := range o.SACK[:o.SACKLen] {
			s += fmt.Sprintf(" %d-%d", seq.Unwrap32(0, n.receiver, blk.Left), seq.Unwrap32(0, n.receiver, blk.Right))
		}
		opts = append(opts, s)
	}
	return opts
}

// parse makes the segment that a text describes, with payload from fill. A
// window that is not named is window bytes.
func (n numbering) parse(text string, window int, fill func(p seq.Pos) byte) (wire.Segment, error) {
	var seg wire.Segment
	toks := segTokens(text)
	if len(toks) < 2 {
		return seg, fmt.Errorf("segment %q: want flags and a position", text)
	}
	for _, l := range toks[0] {
		i := strings.IndexRune(flagLetters, l)
		if i < 0 {
			return seg, fmt.Errorf("segment %q: flag %c", text, l)
		}
		seg.Flags |= 1 << i
	}
	from, to, err := parseRange(toks[1], ":")
	if err != nil {
		return seg, err
	}
	seg.Seq = seq.Wrap32(from, n.sender)
	for p := from; p < to; p++ {
		seg.Payload = append(seg.Payload, fill(p))
	}
	for _, tok := range toks[2:] {
		name, arg, _ := strings.Cut(tok, " ")
		v, _ := strconv.Atoi(arg)
		switch {
		case strings.HasPrefix(tok, "<"):
			if err := n.parseOption(&seg.Options, tok[1:]); err != nil {
				return seg, err
			}
		case name == "ack":
			seg.Ack = seq.Wrap32(seq.Pos(v), n.receiver)
		case name == "win":
			window = v
		default:
			return seg, fmt.Errorf("segment %q: %q", text, tok)
		}
	}
	if !seg.Flags.Has(wire.SYN) {
		window >>= n.scale
	}
	seg.Window = uint16(min(window, 0xffff))
	return seg, nil
}

func (n numbering) parseOption(o *wire.Options, text string) error {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	num := func(i int) uint32 {
		if i >= len(words) {
			return 0
		}
		v, _ := strconv.ParseUint(words[i], 10, 32)
		return uint32(v)
	}
	switch words[0] {
	case "mss":
		o.Set, o.MSS = o.Set|wire.HasMSS, uint16(num(1))
	case "ws":
		o.Set, o.WindowScale = o.Set|wire.HasWindowScale, uint8(num(1))
	case "sackok":
		o.Set |= wire.HasSACKPermitted
	case "ts":
		o.Set, o.TSVal, o.TSEcr = o.Set|wire.HasTimestamps, num(1), num(2)
	case "sack":
		o.Set |= wire.HasSACK
		for _, w := range words[1:] {
			lo, hi, err := parseRange(w, "-")
			if err != nil {
				return err
			}
			o.SACK[o.SACKLen] = wire.SACKBlock{Left: seq.Wrap32(lo, n.receiver), Right: seq.Wrap32(hi, n.receiver)}
			o.SACKLen++
		}
	case "prio":
		o.Set |= wire.HasPrio
	default:
		return fmt.Errorf("option %q", text)
	}
	return nil
}

// parseRange reads "lo:hi" or "lo".
func parseRange(s, sep string) (lo, hi seq.Pos, err error) {
	a, b, has := strings.Cut(s, sep)
	from, err := strconv.ParseInt(a, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("range %q: %w", s, err)
	}
	if !has {
		return seq.Pos(from), seq.Pos(from), nil
	}
	to, err := strconv.ParseInt(b, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("range %q: %w", s, err)
	}
	return seq.Pos(from), seq.Pos(to), nil
}

// segmentText is data of ours, with PSH on the last of a burst.
func segmentText(lo, hi int, last bool) string {
	flags := "A"
	if last {
		flags = "PA"
	}
	return fmt.Sprintf("%s %d:%d", flags, lo, hi)
}

// payloadRange is where the payload of a segment lies.
func payloadRange(t testing.TB, text string) (lo, hi int) {
	t.Helper()
	if _, err := fmt.Sscanf(segTokens(text)[1], "%d:%d", &lo, &hi); err != nil {
		t.Fatalf("%s: no payload", text)
	}
	return lo, hi
}
