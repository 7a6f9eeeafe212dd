package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Strip removes options from the packets it picks, as firewalls do that know
// better: from the SYN, the SYN/ACK, the third ACK, data or everything, in one
// direction or both.
type Strip struct {
	Pick
	// Options are those to remove; 0 means every MPTCP option, also those of
	// subtypes and lengths that do not exist.
	Options wire.OptionSet
	// Unknown removes everything but what TCP had in 1996 instead: MSS,
	// window scale, SACK and timestamps stay.
	Unknown bool
	// Compact closes the gap. Otherwise padding takes the option's place.
	Compact bool

	buf  []byte
	kept []byte
}

// Handle implements Middlebox.
func (b *Strip) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.pick(dir, pkt) {
		out.Send(dir, pkt)
		return
	}
	v := viewOf(pkt)
	b.kept = b.kept[:0]
	for option := range eachOption(v.options) {
		switch {
		case !b.unwanted(option):
			b.kept = append(b.kept, option...)
		case !b.Compact:
			blank(option)
		}
	}
	if b.Compact {
		v = v.rebuild(b.buf, b.kept, v.payload)
		b.buf = v.pkt
	}
	v.finish()
	out.Send(dir, v.pkt)
}

func (b *Strip) unwanted(option []byte) bool {
	const classic = wire.HasMSS | wire.HasWindowScale | wire.HasSACKPermitted | wire.HasSACK | wire.HasTimestamps
	is := optionSet(option)
	switch {
	case b.Unknown:
		return is&classic == 0
	case b.Options == 0:
		return option[0] == optionMPTCP
	}
	return is&b.Options != 0
}

// Alter lets a function change options of the packets it picks, byte by byte
// as they are on the wire, kind and length included, without changing their
// length: another version in MP_CAPABLE, flag B set, flag H cleared, a token or
// an HMAC spoiled.
type Alter struct {
	Pick
	Options wire.OptionSet // which to change; 0 means every MPTCP option
	Edit    func(option []byte)
}

// Handle implements Middlebox.
func (b *Alter) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if b.pick(dir, pkt) {
		v := viewOf(pkt)
		for option := range eachOption(v.options) {
			if b.Options == 0 && option[0] == optionMPTCP || optionSet(option)&b.Options != 0 {
				b.Edit(option)
			}
		}
		v.finish()
	}
	out.Send(dir, pkt)
}

// Echo makes the host that answers a SYN look like one that knows no
// Multipath TCP and sends the SYN's option back as it came: it takes the MPTCP
// options out of SYNs and puts them into the SYN/ACKs, in place of any there.
type Echo struct {
	Echoed int

	seg   wire.Segment
	flows flows[[]byte] // the options of the SYN
	buf   []byte
	kept  []byte
}

// Handle implements Middlebox.
func (b *Echo) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil || !b.seg.Flags.Has(wire.SYN) {
		out.Send(dir, pkt)
		return
	}
	f := b.flows.of(dir, &b.seg)
	v := viewOf(pkt)
	if !b.seg.Flags.Has(wire.ACK) {
		f.own = f.own[:0]
		for option := range eachOption(v.options) {
			if option[0] == optionMPTCP {
				f.own = append(f.own, option...)
				blank(option)
			}
		}
		v.finish()
		out.Send(dir, pkt)
		return
	}
	b.kept = b.kept[:0]
	for option := range eachOption(v.options) {
		if option[0] != optionMPTCP {
			b.kept = append(b.kept, option...)
		}
	}
	if len(f.own) > 0 && len(b.kept)+len(f.own) <= 40 {
		b.kept = append(b.kept, f.own...)
		b.Echoed++
	}
	v = v.rebuild(b.buf, b.kept, v.payload)
	b.buf = v.pkt
	out.Send(dir, v.pkt)
}
