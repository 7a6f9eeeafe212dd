package kernel

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"
)

func TestDecodeEvent(t *testing.T) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(evToken, 0xdeadbeef)
	ae.Uint16(evFamily, afInet6)
	ae.Uint8(evLocalID, 2)
	ae.Uint8(evRemoteID, 3)
	ae.Bytes(evSAddr6, netip.MustParseAddr("fd00::1").AsSlice())
	ae.Bytes(evDAddr4, []byte{10, 0, 0, 2})
	ae.Bytes(evSPort, []byte{0x12, 0x34})
	ae.Bytes(evDPort, []byte{0x00, 0x50})
	ae.Uint8(evBackup, 1)
	ae.Uint8(evError, 110)
	ae.Uint16(evFlags, evFlagDenyJoinID0)
	ae.Int32(evIfIndex, 9)
	ae.Uint32(evResetReason, 4)
	ae.Uint32(evResetFlags, 1)
	ae.Uint8(evServerSide, 1)
	ae.Uint32(99, 1) // of a newer kernel
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeEvent(11, b)
	want := Event{
		Type: EventSubClosed, Token: 0xdeadbeef,
		Local: netip.MustParseAddrPort("[fd00::1]:4660"), Remote: netip.MustParseAddrPort("10.0.0.2:80"),
		LocalID: 2, RemoteID: 3, Backup: true, Error: syscall.Errno(110), IfIndex: 9,
		ServerSide: true, DenyJoinID0: true, ResetReason: 4, ResetFlags: 1,
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := decodeEvent(11, b[:len(b)-5]); err == nil {
		t.Error("a message cut short was decoded")
	}
}

func TestDecodeEventServerSideByFlag(t *testing.T) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint16(evFlags, evFlagServerSide)
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeEvent(1, b); err != nil || !got.ServerSide || got.DenyJoinID0 {
		t.Errorf("got %+v, %v, want ServerSide alone", got, err)
	}
}
