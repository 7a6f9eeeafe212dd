package mptcp

import (
	"net/netip"
	"testing"
	"time"
)

// An announcement ends the wait for a path that worked, once: the peer's
// address was there. For one that never did it must not (RFC 8684 section 5).
func TestRetriesAnnounced(t *testing.T) {
	local, remote := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	held := func(r *retries) bool {
		_, h := r.held(now, local, remote)
		return h
	}
	var r retries
	r.failed(now, local, remote, time.Minute, true)
	if !held(&r) {
		t.Error("a path just lost is tried at once")
	}
	r.announced(remote)
	if held(&r) {
		t.Error("announced anew, a path that worked still has to wait")
	}
	r.failed(now, local, remote, 0, false)
	r.announced(remote)
	if !held(&r) {
		t.Error("an announcement makes us try at once where nobody answered")
	}
}
