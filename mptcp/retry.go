package mptcp

import (
	"net/netip"
	"slices"
	"time"
)

// pathTry is what is remembered of a path that could not be opened or was
// lost. Ports do not matter: whoever announces one address with many ports
// gets no more attempts for it (RFC 8684 section 5).
type pathTry struct {
	local, remote netip.Addr
	failures      int       // in a row
	after         time.Time // not to be tried before
	never         bool      // nor then, until the peer announces the address again
	worked        bool      // the last time it was opened
}

// retries holds the paths that failed. There are no more than endpoints times
// address IDs.
type retries struct{ list []pathTry }

func (r *retries) find(local, remote netip.Addr) *pathTry {
	for i := range r.list {
		if t := &r.list[i]; t.local == local && t.remote == remote {
			return t
		}
	}
	return nil
}

// failed notes a failure and gives when to try again. Each failure in a row
// doubles the wait. wasUp is how long the path worked before: one that held is
// a good path that was lost, and begins anew.
func (r *retries) failed(now time.Time, local, remote netip.Addr, wasUp time.Duration, never bool) time.Time {
	t := r.find(local, remote)
	if t == nil {
		r.list = append(r.list, pathTry{local: local, remote: remote})
		t = &r.list[len(r.list)-1]
	}
	if wasUp > rejoinLongestWait {
		t.failures = 0
	}
	wait := min(rejoinFirstWait<<min(t.failures, 16), rejoinLongestWait)
	t.failures++
	t.after, t.never, t.worked = now.Add(wait), never, wasUp > 0
	return t.after
}

// failures is how often in a row the path failed.
func (r *retries) failures(local, remote netip.Addr) int {
	if t := r.find(local, remote); t != nil {
		return t.failures
	}
	return 0
}

// held reports whether the path is not to be tried now, and when it may be;
// the zero time: not by itself.
func (r *retries) held(now time.Time, local, remote netip.Addr) (until time.Time, held bool) {
	t := r.find(local, remote)
	switch {
	case t == nil:
		return time.Time{}, false
	case t.never:
		return time.Time{}, true
	}
	return t.after, now.Before(t.after)
}

// announced lifts what was decided against an address of the peer (RFC 8684
// section 3.4.1). The wait stays unless the peer has answered there: announcing
// again and again must not aim SYNs at somebody else (section 5).
func (r *retries) announced(remote netip.Addr) {
	for i := range r.list {
		if t := &r.list[i]; t.remote == remote {
			t.never = false
			if t.worked {
				t.after, t.worked = time.Time{}, false
			}
		}
	}
}

// renewed forgets failures from an address of ours that came up again.
func (r *retries) renewed(local netip.Addr) {
	r.list = slices.DeleteFunc(r.list, func(t pathTry) bool { return t.local == local })
}
