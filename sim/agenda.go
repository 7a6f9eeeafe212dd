package sim

import "time"

// entry is something that wants to run at a time: a link, a host, or an
// action of the test. Exactly one of the three is set.
type entry struct {
	link   *Link
	host   *host
	action func()

	at    time.Time
	order uint64 // when it was put on the agenda: decides between equal times
	index int    // place in the heap; -1 when not on the agenda
}

// agenda is a binary heap of entries by time and, within one time, by when
// they were entered, so that runs repeat exactly.
type agenda struct {
	heap   []*entry
	orders uint64
}

// set enters e for a time, moves it, or with the zero time takes it off.
func (a *agenda) set(e *entry, at time.Time) {
	switch {
	case at.IsZero():
		if e.index >= 0 {
			a.remove(e)
		}
	case e.index < 0:
		a.orders++
		e.at, e.order, e.index = at, a.orders, len(a.heap)
		a.heap = append(a.heap, e)
		a.up(e.index)
	case !e.at.Equal(at):
		a.orders++
		e.at, e.order = at, a.orders
		a.up(e.index)
		a.down(e.index)
	}
}

// first gives what comes next without taking it off; nil if nothing does.
func (a *agenda) first() *entry {
	if len(a.heap) == 0 {
		return nil
	}
	return a.heap[0]
}

func (a *agenda) remove(e *entry) {
	i, last := e.index, len(a.heap)-1
	a.swap(i, last)
	a.heap[last] = nil
	a.heap = a.heap[:last]
	e.index = -1
	if i < last {
		a.up(i)
		a.down(i)
	}
}

func (a *agenda) before(i, j int) bool {
	x, y := a.heap[i], a.heap[j]
	if c := x.at.Compare(y.at); c != 0 {
		return c < 0
	}
	return x.order < y.order
}

func (a *agenda) swap(i, j int) {
	a.heap[i], a.heap[j] = a.heap[j], a.heap[i]
	a.heap[i].index, a.heap[j].index = i, j
}

func (a *agenda) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !a.before(i, parent) {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a *agenda) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(a.heap) {
			return
		}
		if child+1 < len(a.heap) && a.before(child+1, child) {
			child++
		}
		if !a.before(child, i) {
			return
		}
		a.swap(i, child)
		i = child
	}
}
