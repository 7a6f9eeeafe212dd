package afpacket

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

const (
	etherLen  = 14
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd

	protocolICMP   = 1
	protocolTCP    = 6
	protocolICMPv6 = 58

	// takeWhole is more than a packet is long.
	takeWhole = 1 << 18
	// A jump over the rest of an address's part of the filter is at most 255
	// instructions; all parts together are at most 4,096.
	maxAddrs = 64
)

// filter takes, of the frames of an Ethernet interface, TCP to one of the
// addresses and ports, and ICMP errors about TCP from them. Fragments are left
// to nobody: the kernel does not reassemble for us, and a TCP with path MTU
// discovery sends none.
func filter(addrs []netip.Addr, ports PortRange) []bpf.Instruction {
	var prog []bpf.Instruction
	for _, a := range addrs {
		var p part
		if a.Is4() {
			p.ipv4(a, ports)
		} else {
			p.ipv6(a, ports)
		}
		prog = append(prog, p.finish()...)
	}
	return append(prog, bpf.RetConstant{Val: 0})
}

// onlyToUs leaves out what the host sends itself, and what a promiscuous
// interface overhears.
func onlyToUs() []bpf.Instruction {
	const packetHost = 0
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: packetHost, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// part is the instructions for one address. Jumps to its end are marked by
// toEnd until finish knows how far that is.
type part struct{ prog []bpf.Instruction }

const toEnd = 255

func (p *part) add(i ...bpf.Instruction) { p.prog = append(p.prog, i...) }

// require goes on if the accumulator passes the test, else to the end.
func (p *part) require(cond bpf.JumpTest, val uint32) {
	p.add(bpf.JumpIf{Cond: cond, Val: val, SkipFalse: toEnd})
}

func (p *part) finish() []bpf.Instruction {
	for i, inst := range p.prog {
		if j, ok := inst.(bpf.JumpIf); ok && j.SkipFalse == toEnd {
			j.SkipFalse = uint8(len(p.prog) - i - 1)
			p.prog[i] = j
		}
	}
	return p.prog
}

// port accepts if the 16 bits just loaded are one of the ports.
func (p *part) port(ports PortRange) {
	p.require(bpf.JumpGreaterOrEqual, uint32(ports.First))
	p.require(bpf.JumpLessOrEqual, uint32(ports.Last))
	p.add(bpf.RetConstant{Val: takeWhole})
}

func (p *part) etherType(t uint32) {
	p.add(bpf.LoadAbsolute{Off: 12, Size: 2})
	p.require(bpf.JumpEqual, t)
}

func (p *part) ipv4(addr netip.Addr, ports PortRange) {
	const (
		offFragment = etherLen + 6
		offProtocol = etherLen + 9
		offDst      = etherLen + 16
		fragment    = 0x3fff // more fragments, or an offset
		// From the ICMP header on, which the X register adds to.
		offType        = etherLen
		offInner       = etherLen + 8
		innerProtocol  = offInner + 9
		innerPort      = offInner + 20 // we send no IPv4 options
		typeUnreachble = 3
	)
	a := addr.As4()
	p.etherType(etherIPv4)
	p.add(bpf.LoadAbsolute{Off: offDst, Size: 4})
	p.require(bpf.JumpEqual, binary.BigEndian.Uint32(a[:]))
	p.add(bpf.LoadAbsolute{Off: offFragment, Size: 2})
	p.require(bpf.JumpBitsNotSet, fragment)
	p.add(
		bpf.LoadMemShift{Off: etherLen}, // X = header length
		bpf.LoadAbsolute{Off: offProtocol, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipFalse: 4},
		bpf.LoadIndirect{Off: etherLen + 2, Size: 2},
	)
	p.port(ports)
	p.require(bpf.JumpEqual, protocolICMP)
	p.add(bpf.LoadIndirect{Off: offType, Size: 1})
	p.require(bpf.JumpEqual, typeUnreachble)
	p.add(bpf.LoadIndirect{Off: innerProtocol, Size: 1})
	p.require(bpf.JumpEqual, protocolTCP)
	p.add(bpf.LoadIndirect{Off: innerPort, Size: 2})
	p.port(ports)
}

func (p *part) ipv6(addr netip.Addr, ports PortRange) {
	const (
		offNext   = etherLen + 6
		offDst    = etherLen + 24
		offUpper  = etherLen + 40
		offInner  = offUpper + 8
		innerNext = offInner + 6
		innerPort = offInner + 40
		// Errors are types 1 to 127; 1 to 4 are in use (RFC 4443).
		firstError, lastError = 1, 4
	)
	p.etherType(etherIPv6)
	a := addr.As16()
	for i := range 4 {
		p.add(bpf.LoadAbsolute{Off: uint32(offDst + 4*i), Size: 4})
		p.require(bpf.JumpEqual, binary.BigEndian.Uint32(a[4*i:]))
	}
	p.add(
		bpf.LoadAbsolute{Off: offNext, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipFalse: 4},
		bpf.LoadAbsolute{Off: offUpper + 2, Size: 2},
	)
	p.port(ports)
	p.require(bpf.JumpEqual, protocolICMPv6)
	p.add(bpf.LoadAbsolute{Off: offUpper, Size: 1})
	p.require(bpf.JumpGreaterOrEqual, firstError)
	p.require(bpf.JumpLessOrEqual, lastError)
	p.add(bpf.LoadAbsolute{Off: innerNext, Size: 1})
	p.require(bpf.JumpEqual, protocolTCP)
	p.add(bpf.LoadAbsolute{Off: innerPort, Size: 2})
	p.port(ports)
}
