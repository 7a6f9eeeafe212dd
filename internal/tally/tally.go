// Package tally adds up what a connection did on each of its paths. An Info
// tells of the subflows there are; a Tally remembers those that have ended.
package tally

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
)

// Path is what one subflow did, by what was last heard of it.
type Path struct {
	Local, Remote netip.AddrPort
	// Sent and Received are bytes of payload, retransmissions not counted.
	Sent, Received uint64
	// Retransmitted are bytes sent again on the subflow, Reinjected those of
	// Sent that another subflow had carried first.
	Retransmitted, Reinjected uint64
	RTT                       time.Duration
	Backup                    bool
	Up                        bool // it was established when last looked at
}

// Tally is the account of one connection. Its methods may be called by any
// goroutine.
type Tally struct {
	mu    sync.Mutex
	conn  braid.Info // without subflows
	order []key
	paths map[key]*Path
}

// key tells subflows apart, also where the kernel does not number them.
type key struct {
	id            int
	local, remote netip.AddrPort
}

// Note enters what info tells.
func (t *Tally) Note(info braid.Info) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paths == nil {
		t.paths = make(map[key]*Path)
	}
	for _, p := range t.paths {
		p.Up = false
	}
	subflows := slices.Clone(info.Subflows)
	slices.SortStableFunc(subflows, func(a, b braid.SubflowInfo) int { return cmp.Compare(a.ID, b.ID) })
	for _, sf := range subflows {
		k := key{sf.ID, sf.Local, sf.Remote}
		p := t.paths[k]
		if p == nil {
			if !sf.Established && sf.BytesReceived+sf.BytesSent == 0 {
				continue // it may never come about
			}
			p = &Path{Local: sf.Local, Remote: sf.Remote}
			t.paths[k] = p
			t.order = append(t.order, k)
		}
		p.Sent, p.Received = max(p.Sent, sf.BytesSent), max(p.Received, sf.BytesReceived)
		p.Retransmitted, p.Reinjected = max(p.Retransmitted, sf.BytesRetransmitted), max(p.Reinjected, sf.BytesReinjected)
		p.Backup, p.Up = sf.Backup || sf.PeerBackup, sf.Established
		if sf.RTT > 0 {
			p.RTT = sf.RTT
		}
	}
	// A connection that is over tells nothing more of what it was.
	if info.Multipath || !t.conn.Multipath {
		info.Subflows = nil
		t.conn = info
	}
}

// Info is the connection's own part of the last Info that told of it.
func (t *Tally) Info() braid.Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conn
}

// Paths lists the subflows in the order in which they were first seen.
func (t *Tally) Paths() []Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Path, len(t.order))
	for i, k := range t.order {
		all[i] = *t.paths[k]
	}
	return all
}

// Bytes is the payload that passed in both directions on all subflows.
func (t *Tally) Bytes() (n uint64) {
	for _, p := range t.Paths() {
		n += p.Sent + p.Received
	}
	return n
}
