package kernel

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func put[T uint8 | uint16 | uint32 | uint64](b []byte, off int, v T) {
	switch v := any(v).(type) {
	case uint8:
		b[off] = v
	case uint16:
		binary.NativeEndian.PutUint16(b[off:], v)
	case uint32:
		binary.NativeEndian.PutUint32(b[off:], v)
	case uint64:
		binary.NativeEndian.PutUint64(b[off:], v)
	}
}

func TestDecodeInfo(t *testing.T) {
	b := make([]byte, infoSize)
	for i := range 6 {
		b[i] = byte(i + 1)
	}
	put(b, 8, uint32(2))
	put(b, 12, uint32(0xdeadbeef))
	put(b, 16, uint64(1<<40))
	put(b, 24, uint64(1<<40-5))
	put(b, 32, uint64(7))
	b[40], b[41], b[42] = 10, 11, 1
	put(b, 44, uint32(12))
	put(b, 48, uint64(13))
	put(b, 56, uint64(14))
	put(b, 64, uint64(15))
	put(b, 72, uint64(16))
	b[80], b[81], b[82] = 17, 18, 19
	put(b, 84, uint32(20))
	put(b, 88, uint32(21))
	put(b, 92, uint32(22))
	want := Info{
		ExtraSubflows: 1, AddAddrSignalled: 2, AddAddrAccepted: 3, LimitExtraSubflows: 4,
		EndpointSignalMax: 5, LimitAddAddrAccepted: 6, RemoteKeyReceived: true, Token: 0xdeadbeef,
		WriteSeq: 1 << 40, SndUna: 1<<40 - 5, RcvNxt: 7, LocalAddrUsed: 10, EndpointSubflowMax: 11,
		ChecksumEnabled: true, Retransmits: 12, BytesRetrans: 13, BytesSent: 14, BytesReceived: 15,
		BytesAcked: 16, SubflowsTotal: 17, EndpointLaminarMax: 18, EndpointFullmeshMax: 19,
		LastDataSent: 20 * time.Millisecond, LastDataReceived: 21 * time.Millisecond,
		LastAckReceived: 22 * time.Millisecond,
	}
	if got := decodeInfo(b); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// Linux 5.16 filled 48 bytes.
	old := Info{
		ExtraSubflows: 1, AddAddrSignalled: 2, AddAddrAccepted: 3, LimitExtraSubflows: 4,
		EndpointSignalMax: 5, LimitAddAddrAccepted: 6, RemoteKeyReceived: true, Token: 0xdeadbeef,
		WriteSeq: 1 << 40, SndUna: 1<<40 - 5, RcvNxt: 7, LocalAddrUsed: 10, EndpointSubflowMax: 11,
		ChecksumEnabled: true,
	}
	if got := decodeInfo(b[:44]); got != old {
		t.Errorf("short: got %+v\nwant %+v", got, old)
	}
}

func TestDecodeTCPInfo(t *testing.T) {
	// Every field decoded is marked by its offset, so none is mistaken for
	// another: times are in microseconds unless they are 44, 52 and 56.
	b := make([]byte, tcpInfoSize)
	for off := 8; off < 104; off += 4 {
		put(b, off, uint32(off))
	}
	for _, off := range []int{104, 112, 120, 128, 160, 168, 176, 184, 200, 208} {
		put(b, off, uint64(off))
	}
	for _, off := range []int{136, 140, 144, 148, 152, 156, 192, 196, 216, 220, 224, 228, 232} {
		put(b, off, uint32(off))
	}
	b[0], b[2], b[4], b[7] = 1, 2, 4, 1
	const us, ms = time.Microsecond, time.Millisecond
	want := TCPInfo{
		State: Established, Retransmits: 2, Backoff: 4, AppLimited: true,
		RTO: 8 * us, ATO: 12 * us, RTT: 68 * us, RTTVar: 72 * us, MinRTT: 148 * us, RcvRTT: 92 * us,
		SndMSS: 16, RcvMSS: 20, PathMTU: 60,
		SndCwnd: 80, SndSsthresh: 76, SndWnd: 228, RcvWnd: 232, RcvSpace: 96, Reordering: 88,
		Unacked: 24, Sacked: 28, Lost: 32, Retrans: 36, TotalRetrans: 100,
		PacingRate: 104, DeliveryRate: 160, BytesSent: 200, BytesAcked: 120, BytesReceived: 128,
		BytesRetrans: 208, NotSent: 144,
		SegsOut: 136, SegsIn: 140, DataSegsOut: 156, DataSegsIn: 152, Delivered: 192, DeliveredCE: 196,
		DSACKDups: 216, ReorderSeen: 220, RcvOutOfOrder: 224,
		BusyTime: 168 * us, RwndLimited: 176 * us, SndbufLimited: 184 * us,
		LastDataSent: 44 * ms, LastDataReceived: 52 * ms, LastAckReceived: 56 * ms,
	}
	got := decodeTCPInfo(b)
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	v := reflect.ValueOf(got)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not decoded", v.Type().Field(i).Name)
		}
	}
}

func TestSockaddr(t *testing.T) {
	v4 := make([]byte, sockaddrSize)
	put(v4, 0, uint16(afInet))
	copy(v4[2:], []byte{0x1f, 0x90, 10, 0, 0, 1})
	v6 := make([]byte, sockaddrSize)
	put(v6, 0, uint16(afInet6))
	copy(v6[2:], []byte{0, 80, 0, 0, 0, 0, 0xfd, 0, 15: 0, 21: 9})
	mapped := make([]byte, sockaddrSize)
	put(mapped, 0, uint16(afInet6))
	copy(mapped[2:], []byte{0, 80, 16: 0xff, 17: 0xff, 18: 10, 19: 0, 20: 0, 21: 1})
	for _, tt := range []struct {
		in   []byte
		want string
	}{
		{v4, "10.0.0.1:8080"}, {v6, "[fd00::9]:80"}, {mapped, "10.0.0.1:80"},
		{v4[:7], "invalid AddrPort"}, {v6[:23], "invalid AddrPort"}, {nil, "invalid AddrPort"},
		{make([]byte, sockaddrSize), "invalid AddrPort"},
	} {
		if got := view(tt.in).sockaddr(); got.String() != tt.want {
			t.Errorf("sockaddr(% x) = %s, want %s", tt.in, got, tt.want)
		}
	}
	local, remote := view(append(append([]byte{}, v4...), v6...)).addrs()
	if local != netip.MustParseAddrPort("10.0.0.1:8080") || remote != netip.MustParseAddrPort("[fd00::9]:80") {
		t.Errorf("addrs: %s, %s", local, remote)
	}
}
