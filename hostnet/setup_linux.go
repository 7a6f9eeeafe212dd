package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Setup is an installed Plan.
type Setup struct {
	h    *Host
	j    *journal
	file *os.File // the journal; its lock says that we live. nil if persistent
	plan Plan
}

// Install cleans up after processes that died, makes a plan, and installs it
// under the tag, which is to be one of its own, such as the process ID. When
// something fails, nothing is left installed.
func (h *Host) Install(tag string, planner Planner) (*Setup, error) {
	return h.install(tag, planner, false)
}

// InstallPersistent installs a plan which stays when the process ends, until
// Remove.
//
// Its journal has to last as long, which only DefaultDir does.
func (h *Host) InstallPersistent(tag string, planner Planner) (Plan, error) {
	if h.own && mayAdminister() {
		return Plan{}, fmt.Errorf("hostnet: what is to stay is noted in %s, where this user cannot write: try as root", DefaultDir)
	}
	s, err := h.install(tag, planner, true)
	if err != nil {
		return Plan{}, err
	}
	return s.plan, nil
}

func (h *Host) install(tag string, planner Planner, persistent bool) (*Setup, error) {
	if !validTag(tag) {
		return nil, fmt.Errorf("%w: tag %q", ErrConfig, tag)
	}
	unlock, err := h.lockDir()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := h.cleanup(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(h.journalPath(tag)); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrInstalled, tag)
	}
	state, err := h.State()
	if err != nil {
		return nil, err
	}
	plan, err := planner(state)
	if err != nil {
		return nil, err
	}
	s := &Setup{h: h, j: &journal{
		Version: journalVersion, Tag: tag, PID: os.Getpid(), Namespace: h.namespace, Persistent: persistent,
		Actions: plan.Actions,
	}}
	if s.file, err = h.writeJournal(s.j); err != nil {
		return nil, err
	}
	for i, a := range plan.Actions {
		if err := h.apply(a); err != nil {
			h.undo(a) // it may be half done; that it is not is no news
			s.j.Actions = plan.Actions[:i]
			return nil, errors.Join(permission(fmt.Errorf("hostnet: %s: %w", a, err)), s.remove())
		}
	}
	s.plan = plan
	if persistent {
		s.file.Close()
		s.file = nil
	}
	return s, nil
}

// Plan is what is installed.
func (s *Setup) Plan() Plan { return s.plan }

// Update installs another plan in place of this one: what is in both stays, and
// is put back if it was lost meanwhile, as the routes of an interface that went
// down are. What cannot be installed since its interface has gone meanwhile is no
// error: that is a change which another Update is to follow.
func (s *Setup) Update(planner Planner) error {
	unlock, err := s.h.lockDir()
	if err != nil {
		return err
	}
	defer unlock()
	state, err := s.h.State()
	if err != nil {
		return err
	}
	plan, err := planner(state)
	if err != nil {
		return err
	}
	gone, err := missing(s.j.Actions, plan.Actions)
	if err != nil {
		return err
	}
	// Until it is done, the journal tells of both plans.
	if err := s.journal(append(slices.Clone(gone), plan.Actions...)); err != nil {
		return err
	}
	var errs []error
	for _, a := range slices.Backward(gone) {
		errs = append(errs, s.undo(a))
	}
	for _, a := range plan.Actions {
		if err := s.h.apply(a); err != nil && !isGone(err) {
			errs = append(errs, permission(fmt.Errorf("hostnet: %s: %w", a, err)))
		}
	}
	s.plan = plan
	errs = append(errs, s.journal(plan.Actions))
	return errors.Join(errs...)
}

// journal writes the actions down.
func (s *Setup) journal(actions []Action) error {
	j := *s.j
	j.Actions = actions
	f, err := s.h.writeJournal(&j)
	if err != nil {
		return err
	}
	s.file.Close()
	s.file, s.j = f, &j
	return nil
}

// Close removes everything that was installed.
func (s *Setup) Close() error {
	unlock, err := s.h.lockDir()
	if err != nil {
		return err
	}
	defer unlock()
	return s.remove()
}

// remove undoes what the journal says, and then removes the journal, unless
// something is left.
func (s *Setup) remove() error {
	var errs []error
	for _, a := range slices.Backward(s.j.Actions) {
		errs = append(errs, s.undo(a))
	}
	err := errors.Join(errs...)
	if err == nil {
		err = os.Remove(s.h.journalPath(s.j.Tag))
	}
	s.file.Close() // last: the lock guards the journal
	return err
}

// undo undoes one action, unless another installation needs its effect.
func (s *Setup) undo(a Action) error {
	all, err := s.h.journals()
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.Tag == s.j.Tag {
			continue
		}
		if needs, err := j.needs(a); err != nil || needs {
			return err
		}
	}
	if err := s.h.undo(a); err != nil && !isGone(err) {
		return permission(fmt.Errorf("hostnet: undo %s: %w", a, err))
	}
	return nil
}

// Remove removes what InstallPersistent has installed. It fails with
// ErrNotInstalled when there is nothing under the tag, and with ErrInstalled
// when that belongs to a living process.
func (h *Host) Remove(tag string) error {
	unlock, err := h.lockDir()
	if err != nil {
		return err
	}
	defer unlock()
	j, f, alive, err := openJournal(h.journalPath(tag))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", ErrNotInstalled, tag)
	case err != nil:
		return fmt.Errorf("hostnet: journal: %w", err)
	case alive:
		f.Close()
		return fmt.Errorf("%w by process %d: %s", ErrInstalled, j.PID, tag)
	}
	return (&Setup{h: h, j: j, file: f}).remove()
}

// Cleanup removes what processes that died have left, and tells what it was, as
// the commands by which it would have come about. What another user's left is
// that user's to remove, or root's, and an error.
func (h *Host) Cleanup() (removed []string, err error) {
	if left, err := h.leftovers(); err != nil || len(left) == 0 {
		return nil, err
	}
	unlock, err := h.lockDir()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if removed, err = h.cleanup(); err != nil {
		return removed, err
	}
	left, err := h.leftovers()
	for _, i := range left {
		err = errors.Join(err, fmt.Errorf("hostnet: %s was left by another user: clean up as root", i.Tag))
	}
	return removed, err
}

// leftovers lists what processes that died have left.
func (h *Host) leftovers() ([]Installation, error) {
	all, err := h.Installed()
	return slices.DeleteFunc(all, func(i Installation) bool { return i.Persistent || i.Alive }), err
}

func (h *Host) cleanup() (removed []string, err error) {
	h.removeUnfinished()
	all, err := h.journalsIn(h.dir)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		if j.Persistent {
			continue
		}
		j, f, alive, err := openJournal(j.path)
		if err != nil {
			return removed, fmt.Errorf("hostnet: journal: %w", err)
		}
		if alive {
			f.Close()
			continue
		}
		if err := (&Setup{h: h, j: j, file: f}).remove(); err != nil {
			return removed, err
		}
		for _, a := range j.Actions {
			removed = append(removed, a.String())
		}
	}
	return removed, nil
}
