package wire

import (
	"encoding/binary"
	"testing"
)

// fixIPv4 makes the header checksum of an IPv4 packet right, if it has one.
func fixIPv4(pkt []byte) []byte {
	if len(pkt) >= ipv4HeaderLen && pkt[0]>>4 == 4 {
		if n := int(pkt[0]&0xf) * 4; n >= ipv4HeaderLen && n <= len(pkt) {
			pkt[10], pkt[11] = 0, 0
			binary.BigEndian.PutUint16(pkt[10:], ^Sum(pkt[:n], 0))
		}
	}
	return pkt
}

const (
	// UDP to port 53, 3 bytes of padding behind.
	ipv4UDP = "45 b9 001c 1c46 4000 40 11 0000 c0000201 c6336402 0001 0035 0008 0000 000000"
	ipv4Opt = "46 00 0020 0000 0000 01 06 0000 c0000201 c6336402 94040000 0102030405060708"
	v6Addrs = "20010db8000000000000000000000001 20010db8000000000000000000000002"
)

func TestParseIP(t *testing.T) {
	v4 := IPHeader{Version: 4, HeaderLen: 20, Src: ip("192.0.2.1"), Dst: ip("198.51.100.2")}
	v6 := IPHeader{Version: 6, HeaderLen: 40, Src: ip("2001:db8::1"), Dst: ip("2001:db8::2"), TTL: 64, DontFragment: true, Protocol: ProtocolTCP}
	with := func(h IPHeader, change func(h *IPHeader)) IPHeader {
		change(&h)
		return h
	}
	for _, tc := range []struct {
		name, hex string
		want      IPHeader
	}{
		{"IPv4 with padding behind", ipv4UDP,
			with(v4, func(h *IPHeader) { h.TotalLen, h.Protocol, h.TTL, h.TOS, h.DontFragment = 28, 17, 64, 0xb9, true })},
		{"IPv4 with options", ipv4Opt,
			with(v4, func(h *IPHeader) { h.HeaderLen, h.TotalLen, h.Protocol, h.TTL = 24, 32, 6, 1 })},
		{"IPv4 first fragment", "45 00 001c 0001 2000 40 06 0000 c0000201 c6336402 0102030405060708",
			with(v4, func(h *IPHeader) { h.TotalLen, h.Protocol, h.TTL, h.Fragment = 28, 6, 64, true })},
		{"IPv4 last fragment", "45 00 001c 0001 0001 40 06 0000 c0000201 c6336402 0102030405060708",
			with(v4, func(h *IPHeader) { h.TotalLen, h.Protocol, h.TTL, h.Fragment = 28, 6, 64, true })},
		{"IPv6", "6 2e 12345 0004 06 40" + v6Addrs + "01020304",
			with(v6, func(h *IPHeader) { h.TotalLen, h.TOS = 44, 0x2e })},
		{"IPv6 without payload", "60000000 0000 3b 40" + v6Addrs,
			with(v6, func(h *IPHeader) { h.TotalLen, h.Protocol = 40, 59 })},
		{"IPv6 hop-by-hop", "60000000 0008 00 40" + v6Addrs + "06 00 0104 00000000",
			with(v6, func(h *IPHeader) { h.TotalLen, h.HeaderLen = 48, 48 })},
		{"IPv6 every extension", "60000000 002c 00 40" + v6Addrs +
			"3c 00 0104 00000000" + "2b 01 010c 000000000000000000000000" + "2c 00 0000 00000000" + "06 00 0000 00000007" + "aabbccdd",
			with(v6, func(h *IPHeader) { h.TotalLen, h.HeaderLen = 84, 80 })},
		{"IPv6 fragment", "60000000 000c 2c 40" + v6Addrs + "06 00 0001 00000007 aabbccdd",
			with(v6, func(h *IPHeader) { h.TotalLen, h.HeaderLen, h.Fragment = 52, 48, true })},
		{"IPv6 later fragment ends the chain", "60000000 000c 2c 40" + v6Addrs + "00 00 0008 00000007 aabbccdd",
			with(v6, func(h *IPHeader) { h.TotalLen, h.HeaderLen, h.Fragment, h.Protocol = 52, 48, true, 0 })},
	} {
		got, err := ParseIP(fixIPv4(unhex(t, tc.hex)))
		if err != nil || got != tc.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tc.name, got, err, tc.want)
		}
	}
}

func TestParseIPErrors(t *testing.T) {
	jumbo := append(unhex(t, "60000000 0000 06 40"+v6Addrs), make([]byte, 70000)...)
	giant := append(unhex(t, "4500 0000 0000 4000 40 06 0000 c0000201 c6336402"), make([]byte, 70000)...)
	bad := fixIPv4(unhex(t, ipv4UDP))
	bad[8]--
	for _, tc := range []struct {
		name string
		pkt  []byte
		want error
	}{
		{"empty", nil, ErrShort},
		{"version 5", unhex(t, "55"), ErrIPVersion},
		{"IPv4 cut", unhex(t, "4500001c"), ErrShort},
		{"IPv4 header length 16", fixIPv4(unhex(t, "44"+ipv4UDP[2:])), ErrIPHeader},
		{"IPv4 options cut", fixIPv4(unhex(t, "4f"+ipv4UDP[2:])), ErrShort},
		{"IPv4 longer than the packet", fixIPv4(unhex(t, ipv4UDP)[:27]), ErrIPLength},
		{"IPv4 shorter than its header", fixIPv4(unhex(t, "46 00 0017"+ipv4Opt[10:])), ErrIPLength},
		{"IPv4 without a length", fixIPv4(giant), ErrIPLength},
		{"IPv4 checksum", bad, ErrIPChecksum},
		{"IPv6 cut", jumbo[:39], ErrShort},
		{"IPv6 longer than the packet", unhex(t, "60000000 0001 06 40"+v6Addrs), ErrIPLength},
		{"IPv6 without a length", jumbo, ErrIPLength},
		{"IPv6 extension missing", unhex(t, "60000000 0000 00 40"+v6Addrs), ErrShort},
		{"IPv6 extension cut", unhex(t, "60000000 0008 00 40"+v6Addrs+"0601010400000000"), ErrShort},
		{"IPv6 extension in the padding", unhex(t, "60000000 0004 00 40"+v6Addrs+"0600010400000000"), ErrShort},
		{"IPv6 routing to go on", unhex(t, "60000000 0008 2b 40"+v6Addrs+"0600000100000000"), ErrIPHeader},
	} {
		if got, err := ParseIP(tc.pkt); err != tc.want {
			t.Errorf("%s: got %+v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
}

func TestFlowLabel(t *testing.T) {
	seen := map[uint32]int{}
	for port := range uint16(4096) {
		label := flowLabel(ap("[2001:db8::1]:49152"), netipAddrPort("2001:db8::2", port))
		if label == 0 || label > 0xfffff {
			t.Fatalf("got %#x, want 20 bits and not zero", label)
		}
		seen[label]++
	}
	// 4096 labels of 2^20 meet about 8 times.
	if len(seen) < 4050 {
		t.Errorf("4096 flows have %d labels", len(seen))
	}
}
