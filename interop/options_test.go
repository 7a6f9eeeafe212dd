//go:build linux

package interop_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// dialers are the two ways to begin a connection.
var dialers = []struct {
	name        string
	kernelDials bool
}{{"braid dials", false}, {"kernel dials", true}}

// TestChecksum: DSS checksums are used if either end asks for them, and are
// right in both directions.
func TestChecksum(t *testing.T) {
	for _, d := range dialers {
		for _, ours := range []bool{false, true} {
			for _, peer := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/braid %v/kernel %v", d.name, ours, peer), func(t *testing.T) {
					s := setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow)}
					s.conn.Checksum = ours
					if peer {
						s.sysctls = map[string]string{"net.mptcp.checksum_enabled": "1"}
					}
					joins := want{"MPJoinAckRx": 1}
					if d.kernelDials {
						s.endpoints = ipv4.theirs(2, "subflow")
						joins = want{"MPJoinSynAckRx": 1}
					}
					r := newRig(t, s)
					old := r.peer.Counters()
					c, k := r.connect(ipv4, d.kernelDials)
					ping(t, c, k)
					r.wantSubflows(c, k, 2)
					if got := c.Info().Checksum; got != (ours || peer) {
						t.Errorf("Braid's checksums %v, want %v", got, ours || peer)
					}
					info, err := k.Info()
					if err != nil {
						t.Fatal(err)
					}
					if got := info.ChecksumEnabled; got != (ours || peer) {
						t.Errorf("the peer's checksums %v, want %v", got, ours || peer)
					}
					r.exchange(c, k, 4<<20)
					if n := c.Info().Stats.ChecksumFailures; n != 0 {
						t.Errorf("%d checksums were wrong", n)
					}
					r.judge(old, joins)
				})
			}
		}
	}
}

// TestFastClose: either end throws the connection away, with two subflows up,
// and the other learns of it at once.
func TestFastClose(t *testing.T) {
	for _, d := range dialers {
		connect := func(t *testing.T) (*rig, end, end) {
			s := setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow)}
			if d.kernelDials {
				s.endpoints = ipv4.theirs(2, "subflow")
			}
			r := newRig(t, s)
			c, k := r.connect(ipv4, d.kernelDials)
			ping(t, c, k)
			r.wantSubflows(c, k, 2)
			return r, c, k
		}
		t.Run(d.name+"/braid closes", func(t *testing.T) {
			r, c, k := connect(t)
			old := r.peer.Counters()
			throwAway(t, c, k)
			// The first to arrive ends both subflows at the peer.
			r.judge(old, want{"MPFastcloseRx": some, "MPRstTx": whatever})
		})
		t.Run(d.name+"/kernel closes", func(t *testing.T) {
			r, c, k := connect(t)
			old := r.peer.Counters()
			throwAway(t, k, c)
			r.judge(old, want{"MPFastcloseTx": 2, "MPRstTx": 2})
		})
	}
}

// end is a connection of either stack.
type end interface {
	halfCloser
	SetLinger(sec int) error
}

// throwAway ends a at once and wants b to be told.
func throwAway(t *testing.T, a, b end) {
	t.Helper()
	if err := errors.Join(a.SetLinger(0), a.Close()); err != nil {
		t.Fatal(err)
	}
	b.SetReadDeadline(time.Now().Add(wait))
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other end reads %v, want ECONNRESET", err)
	}
	if _, err := b.Write(make([]byte, 1)); err == nil {
		t.Error("the other end can still write")
	}
}

// TestPlainPeer: a peer whose Multipath TCP is switched off is spoken to in
// plain TCP, and so is answered.
func TestPlainPeer(t *testing.T) {
	for _, d := range dialers {
		for _, f := range []family{ipv4, ipv6} {
			t.Run(d.name+"/"+f.name, func(t *testing.T) {
				r := newRig(t, setup{
					paths:   2,
					addrs:   f.ours(2, mptcp.EndpointSubflow|mptcp.EndpointSignal),
					sysctls: map[string]string{"net.mptcp.enabled": "0"},
				})
				c, k := r.connect(f, d.kernelDials)
				ping(t, c, k)
				reason := mptcp.NotAccepted
				if d.kernelDials {
					reason = mptcp.NotOffered
				}
				if info := c.Info(); info.Multipath || info.Fallback != reason {
					t.Errorf("Multipath TCP %v, fallback %q, want plain TCP, %q", info.Multipath, info.Fallback, reason)
				}
				r.exchange(c, k, 4<<20)
			})
		}
	}
}

// TestRefused: no listener, no connection, and no waiting for it.
func TestRefused(t *testing.T) {
	r := newRig(t, setup{})
	for _, a := range []netip.Addr{peer4(1), peer6(1)} {
		least := time.Hour // on a busy machine anything may take long once
		for range 5 {
			start := time.Now()
			_, err := r.host.DialAddrPort(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(a, port), nil)
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v: got %v, want ECONNREFUSED", a, err)
			}
			least = min(least, time.Since(start))
		}
		if least > time.Second {
			t.Errorf("%v: refused after %v", a, least)
		}
	}
	for _, a := range []netip.Addr{ours4(1), ours6(1)} {
		if _, err := r.tryKernel(a); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v: got %v, want ECONNREFUSED", a, err)
		}
	}
}

// TestUnreadData: closing with data unread tells the peer that it was not read
// (RFC 1122 section 4.2.2.13).
func TestUnreadData(t *testing.T) {
	r := newRig(t, setup{})
	c, k := r.dialBraid(peer4(1))
	ping(t, c, k)
	if _, err := k.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	k.SetReadDeadline(time.Now().Add(wait))
	if _, err := k.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer reads %v, want ECONNRESET", err)
	}
}
