package mptcp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// An address behind a translator is announced as peers see it, with the HMAC
// and the echo over that (RFC 8684 section 3.4.1).
func TestAnnouncedUnderPublicAddress(t *testing.T) {
	public := netip.MustParseAddr("198.51.100.7")
	tc := newTestConn(t, mptcp.Config{})
	err := tc.stack.AddAddress(tc.now, stack.Address{Addr: ourAddr(1), Public: public, ID: 2, Flags: mptcp.EndpointSignal})
	if err != nil {
		t.Fatal(err)
	}
	f := tc.accept()
	s := f.find("ADD_ADDR with the public address", isACK, says("it", func(o *wire.Options) bool {
		if !o.Has(wire.HasAddAddr) || o.AddAddrLen != 1 {
			return false
		}
		a := o.AddAddr[0]
		return a.Addr == public && a.ID == 2 && a.HMAC == wire.AddAddrHMAC(tc.ours, tc.key, &a)
	}))
	f.send(echo(s))
	tc.advance(5 * time.Second)
	f.wantIdle("it was echoed")
}
