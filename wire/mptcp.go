package wire

import "net/netip"

// The versions of Multipath TCP.
const (
	V0 = 0 // RFC 6824
	V1 = 1 // RFC 8684
)

// Key is a host's key for a connection, as the number its bytes make in
// network order (RFC 8684 section 3.1).
type Key uint64

// CapableFlags are the flags A to H of MP_CAPABLE.
type CapableFlags uint8

const (
	CapableChecksum     CapableFlags = 0x80 // A: checksums required
	CapableExtensible   CapableFlags = 0x40 // B: must be zero
	CapableNoJoinToHere CapableFlags = 0x20 // C: open no subflow to this address and port (v1)
	CapableHMAC         CapableFlags = 0x01 // H: HMAC-SHA256 in v1, HMAC-SHA1 in v0
	CapableCrypto       CapableFlags = 0x1f // D to H: the algorithm bits (C to H in v0, where C must be zero too)
)

// Capable is MP_CAPABLE (RFC 8684 section 3.1, RFC 6824 section 3.1). Its
// wire length follows from the fields: 4 (no keys), 12 (one), 20 (two), 22
// (two and a data length), 24 (also a checksum).
type Capable struct {
	Version     uint8
	Flags       CapableFlags
	Keys        uint8 // 0, 1 or 2 keys present
	SenderKey   Key   // the key of the option's sender (v0 SYN, any SYN/ACK, ACK)
	ReceiverKey Key   // the other's, echoed
	HasData     bool  // DataLen is there: the option also maps this first data (v1)
	DataLen     uint16
	HasChecksum bool
	Checksum    uint16
}

// JoinForm tells the three forms of MP_JOIN apart; they differ in length.
type JoinForm uint8

const (
	JoinSYN    JoinForm = iota // 12 bytes
	JoinSYNACK                 // 16 bytes
	JoinACK                    // 24 bytes
)

// Join is MP_JOIN (RFC 8684 section 3.2).
type Join struct {
	Form   JoinForm
	Backup bool     // SYN, SYN/ACK
	ID     uint8    // SYN, SYN/ACK: address ID of the sender's address
	Token  uint32   // SYN: the receiver's token
	Nonce  uint32   // SYN, SYN/ACK
	HMAC   [20]byte // ACK: all 20 bytes; SYN/ACK: the first 8
}

// DSS is the Data Sequence Signal (RFC 8684 section 3.3).
type DSS struct {
	HasAck      bool
	Ack64       bool   // Ack has 64 bits on the wire, else 32
	Ack         uint64 // low 32 bits only unless Ack64
	HasMap      bool
	DSN64       bool
	DSN         uint64 // low 32 bits only unless DSN64
	SSN         uint32 // relative to the subflow's SYN
	Len         uint16 // 0: infinite mapping
	HasChecksum bool
	Checksum    uint16
	Fin         bool // DATA_FIN
}

// AddAddr is ADD_ADDR (RFC 8684 section 3.4.1; v0: RFC 6824 section 3.4.1,
// no echo and no HMAC). Port 0 means the option carries no port.
type AddAddr struct {
	Version uint8 // decides the layout of the third byte: E flag or IPVer
	Echo    bool
	ID      uint8
	Addr    netip.Addr
	Port    uint16
	HMAC    [8]byte // v1 without Echo: rightmost 64 bits
}

// RemoveAddr is REMOVE_ADDR (RFC 8684 section 3.4.2).
type RemoveAddr struct {
	Len int
	IDs [37]uint8 // as many as fit the option space
}

// Prio is MP_PRIO (RFC 8684 section 3.3.8). The address ID exists in v0 only.
type Prio struct {
	Backup bool
	HasID  bool
	ID     uint8
}

// Fail is MP_FAIL (RFC 8684 section 3.7).
type Fail struct{ DSN uint64 }

// FastClose is MP_FASTCLOSE (RFC 8684 section 3.5).
type FastClose struct{ ReceiverKey Key }

// ResetReason is why a subflow was reset (RFC 8684 sections 3.6 and 7.4).
type ResetReason uint8

const (
	ResetUnspecified  ResetReason = 0x00
	ResetMPTCP        ResetReason = 0x01 // MPTCP-specific error
	ResetNoResources  ResetReason = 0x02
	ResetProhibited   ResetReason = 0x03 // administratively prohibited
	ResetOutstanding  ResetReason = 0x04 // too much outstanding data
	ResetPerformance  ResetReason = 0x05 // unacceptable performance
	ResetMiddlebox    ResetReason = 0x06 // middlebox interference
	resetReasonsKnown             = 7
)

// Reset is MP_TCPRST (RFC 8684 section 3.6).
type Reset struct {
	Transient bool // T: a retry may work
	Reason    ResetReason
}
