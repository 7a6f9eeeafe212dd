package hostnet

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// applyTable adds the table, or puts it in place of the one there is, in one
// transaction.
func (h *Host) applyTable(a *TableAction) error {
	t := table(a)
	h.nft.AddTable(t)
	h.nft.DelTable(t) // there is one now
	h.nft.AddTable(t)
	b := tableBuilder{c: h.nft, t: t, ipv6: a.IPv6}
	b.masquerade(a)
	if len(a.Forwards) > 0 {
		b.forwards(a.Forwards, "prerouting", nftables.ChainHookPrerouting)
		b.forwards(a.Forwards, "output", nftables.ChainHookOutput)
	}
	if len(a.Guarded) > 0 {
		b.guard(a)
	}
	return h.nft.Flush()
}

func (h *Host) undoTable(a *TableAction) error {
	h.nft.DelTable(table(a))
	return h.nft.Flush()
}

func table(a *TableAction) *nftables.Table {
	t := &nftables.Table{Name: a.Name, Family: nftables.TableFamilyIPv4}
	if a.IPv6 {
		t.Family = nftables.TableFamilyIPv6
	}
	return t
}

// tableBuilder adds chains and rules to a table. Every rule carries a comment,
// which "nft list ruleset" shows.
type tableBuilder struct {
	c    *nftables.Conn
	t    *nftables.Table
	ipv6 bool
}

func (b tableBuilder) chain(name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	return b.c.AddChain(&nftables.Chain{Name: name, Table: b.t, Type: typ, Hooknum: hook, Priority: prio})
}

func (b tableBuilder) rule(c *nftables.Chain, comment string, parts ...[]expr.Any) {
	var exprs []expr.Any
	for _, p := range parts {
		exprs = append(exprs, p...)
	}
	b.c.AddRule(&nftables.Rule{
		Table: b.t, Chain: c, Exprs: exprs,
		UserData: userdata.AppendString(nil, userdata.TypeComment, comment),
	})
}

func (b tableBuilder) masquerade(a *TableAction) {
	c := b.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	b.rule(c, "the stack's connections leave with the uplink's address",
		b.saddr(a.From), oifNot(a.Dev), []expr.Any{&expr.Masq{}})
}

func (b tableBuilder) forwards(all []Forward, chain string, hook *nftables.ChainHook) {
	c := b.chain(chain, nftables.ChainTypeNAT, hook, nftables.ChainPriorityNATDest)
	for _, f := range all {
		b.rule(c, "port of the stack", b.daddr(f.Addr.Addr()), tcpDport(f.Addr.Port()), b.dnat(f.To))
	}
}

// guard keeps interfaces that forward for our sake from forwarding anything
// else. Rules that accept end this chain only: other firewalls still decide.
func (b tableBuilder) guard(a *TableAction) {
	const (
		stateEstablished = expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED
		statusDNAT       = 1 << 5 // IPS_DST_NAT
	)
	c := b.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	for _, dev := range a.Guarded {
		from := iif(dev)
		if dev == "*" {
			from = iifNot(a.Dev)
		}
		b.rule(c, "answers", from, ctHas(expr.CtKeySTATE, stateEstablished), verdict(expr.VerdictAccept))
		b.rule(c, "ports of a stack", from, ctHas(expr.CtKeySTATUS, statusDNAT), verdict(expr.VerdictAccept))
		b.rule(c, "nothing else was forwarded before", from, verdict(expr.VerdictDrop))
	}
}

// Offsets and lengths of addresses in the headers.
func (b tableBuilder) addr(src bool) (offset, size uint32) {
	switch {
	case b.ipv6 && src:
		return 8, 16
	case b.ipv6:
		return 24, 16
	case src:
		return 12, 4
	}
	return 16, 4
}

func (b tableBuilder) saddr(p netip.Prefix) []expr.Any {
	offset, size := b.addr(true)
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: size,
			Mask: net.CIDRMask(p.Bits(), int(size)*8), Xor: make([]byte, size),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func (b tableBuilder) daddr(a netip.Addr) []expr.Any {
	offset, size := b.addr(false)
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()},
	}
}

func tcpDport(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: bigEndian(port)},
	}
}

func (b tableBuilder) dnat(to netip.AddrPort) []expr.Any {
	family := uint32(unix.NFPROTO_IPV4)
	if b.ipv6 {
		family = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: bigEndian(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: family, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func bigEndian(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }

func iif(dev string) []expr.Any    { return interfaceIs(expr.MetaKeyIIFNAME, expr.CmpOpEq, dev) }
func iifNot(dev string) []expr.Any { return interfaceIs(expr.MetaKeyIIFNAME, expr.CmpOpNeq, dev) }
func oifNot(dev string) []expr.Any { return interfaceIs(expr.MetaKeyOIFNAME, expr.CmpOpNeq, dev) }

func interfaceIs(key expr.MetaKey, op expr.CmpOp, dev string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, dev)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: op, Register: 1, Data: name},
	}
}

// ctHas matches connections of which any of the bits is set.
func ctHas(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, bits), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind}}
}
