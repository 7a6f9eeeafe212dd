package demo

import (
	"sync"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// meter adds up what the subflows of each path did. A subflow that has ended
// is not in Info any more, so the last that was heard of each is kept.
type meter struct {
	began time.Time
	tell  func(Event)

	mu       sync.Mutex
	subflows map[subflowKey]mptcp.SubflowInfo
	open     []int // subflows per path that are up
}

// subflowKey tells apart the subflows of both ends.
type subflowKey struct {
	server bool
	id     int
}

func newMeter(paths int, tell func(Event)) *meter {
	return &meter{began: time.Now(), tell: tell, subflows: make(map[subflowKey]mptcp.SubflowInfo), open: make([]int, paths)}
}

// note keeps what info says of its subflows.
func (m *meter) note(server bool, info mptcp.Info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sf := range info.Subflows {
		m.subflows[subflowKey{server, sf.ID}] = sf
	}
}

// watchClient sees the events of the client's host, with its lock held.
func (m *meter) watchClient(now time.Time, e stack.Event) {
	path := -1
	m.mu.Lock()
	switch e.Kind {
	case stack.SubflowUp:
		path = pathOf(e.Subflow.Local.Addr())
		m.open[path]++
	case stack.SubflowDown:
		path = pathOf(e.Subflow.Local.Addr())
		m.open[path] = max(0, m.open[path]-1)
		m.subflows[subflowKey{false, e.Subflow.ID}] = *e.Subflow
	}
	m.mu.Unlock()
	switch e.Kind {
	case stack.SubflowUp:
		m.tell(Event{At: now.Sub(m.began), path: path, What: SubflowUp})
	case stack.SubflowDown:
		m.tell(Event{At: now.Sub(m.began), path: path, What: SubflowDown})
	case stack.Fallback:
		m.tell(Event{At: now.Sub(m.began), path: -1, What: Fallback})
	}
}

// watchServer sees the events of the server's host, with its lock held.
func (m *meter) watchServer(_ time.Time, e stack.Event) {
	if e.Kind != stack.SubflowDown {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subflows[subflowKey{true, e.Subflow.ID}] = *e.Subflow
}

// totals are the bytes of one path.
type totals struct {
	received   uint64 // by the client
	reinjected uint64 // by the server: sent on this path after another had failed to deliver them
	open       bool
}

func (m *meter) totals() []totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := make([]totals, len(m.open))
	for key, sf := range m.subflows {
		t := &sums[pathOf(sf.Local.Addr())]
		if key.server {
			t.reinjected += sf.BytesReinjected
		} else {
			t.received += sf.BytesReceived
		}
	}
	for i, n := range m.open {
		sums[i].open = n > 0
	}
	return sums
}
