package wire

// OptionSet says which options of an Options are present.
type OptionSet uint32

const (
	HasMSS OptionSet = 1 << iota
	HasWindowScale
	HasSACKPermitted
	HasSACK
	HasTimestamps
	HasFastOpen
	HasMD5 // recognised (RFC 2385), content not kept
	HasAO  // recognised (RFC 5925), content not kept
	HasCapable
	HasJoin
	HasDSS
	HasAddAddr
	HasRemoveAddr
	HasPrio
	HasFail
	HasFastClose
	HasReset
	HasUnknownMPTCP // a subtype not known here, skipped
	HasBadMPTCP     // an MPTCP option whose length fits no form, skipped

	// HasMPTCP has the bits of every Multipath TCP option.
	HasMPTCP = HasCapable | HasJoin | HasDSS | HasAddAddr | HasRemoveAddr |
		HasPrio | HasFail | HasFastClose | HasReset
)

// Options are the TCP options of one segment. Only the fields named in Set
// mean anything; the others keep whatever they held, so that one Options can
// be parsed into again and again without being cleared.
type Options struct {
	Set OptionSet

	MSS          uint16 // RFC 9293 section 3.7.1
	WindowScale  uint8  // RFC 7323 section 2.2, as on the wire: may exceed 14
	TSVal, TSEcr uint32 // RFC 7323 section 3
	SACK         [4]SACKBlock
	SACKLen      int // blocks of SACK in use
	FastOpen     FastOpen

	Capable    Capable
	Join       Join
	DSS        DSS
	AddAddr    [2]AddAddr // two fit a segment: one new, one echoed
	AddAddrLen int
	RemoveAddr RemoveAddr
	Prio       Prio
	Fail       Fail
	FastClose  FastClose
	Reset      Reset
}

// Has reports whether all options of want are present.
func (o *Options) Has(want OptionSet) bool { return o.Set&want == want }

// Any reports whether at least one option of want is present.
func (o *Options) Any(want OptionSet) bool { return o.Set&want != 0 }

// SACKBlock is one block of a SACK option (RFC 2018): [Left, Right).
type SACKBlock struct{ Left, Right uint32 }

// FastOpen is the cookie of a Fast Open option (RFC 7413): Len 0 asks for one.
type FastOpen struct {
	Len    uint8
	Cookie [16]byte
}
