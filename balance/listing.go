package balance

import (
	"context"
	"errors"
)

// Listing is what came of asking a Source.
type Listing struct {
	Pool string
	// Err says why there was no list; the backends of the last one stay. It
	// is told once until there is a list, or another reason.
	Err error
	// Added and Removed are the names of backends that the list has, or no
	// longer has. Those of the first list, and of one that comes with a new
	// configuration, are not told. Without any, there is a list again.
	Added, Removed []string
}

// update takes a list from the source.
func (p *Pool) update(list []Backend, err error) {
	if err == nil {
		list, err = normalList(list)
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	p.mu.Lock()
	told := Listing{Pool: p.cfg.Name, Err: err}
	news := p.noteFailure(err)
	var gone []*Member
	var changes []Change
	if err == nil && !p.ended {
		var come []*Member
		come, gone = p.merge(list)
		changes = p.refresh("listed")
		if p.listed {
			told.Added, told.Removed = namesOf(come), namesOf(gone)
			news = news || len(come)+len(gone) > 0
		}
		p.listed, p.previous = true, nil
	}
	if !p.answered {
		p.answered = true
		close(p.first)
	}
	p.mu.Unlock()
	for _, m := range gone {
		if m.stopCheck != nil {
			m.stopCheck()
		}
		p.set.leave(m)
	}
	if news && p.cfg.Listed != nil && p.ctx.Err() == nil {
		p.cfg.Listed(told)
	}
	p.notify(changes)
}

// noteFailure says whether the source fails for another reason than before, or
// no longer does. The lock is held.
func (p *Pool) noteFailure(err error) (news bool) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	news = reason != p.failing
	p.failing = reason
	return news
}

func namesOf(members []*Member) (names []string) {
	for _, m := range members {
		names = append(names, m.Name())
	}
	return names
}
