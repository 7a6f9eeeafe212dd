package demo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Moment is when something happens: after a share of the bytes, or after a
// time. Exactly one of its fields is not negative.
type Moment struct {
	Share float64       // of the file's bytes, from 0 to 1
	After time.Duration // since the transfer began, or since the cut
	// SinceCut says that After counts from the path's last cut.
	SinceCut bool
}

// Change is a path going down or coming back.
type Change struct {
	Path string
	Up   bool
	At   Moment
}

// ParseCut reads name@50%, or name@3s for a time since the beginning.
func ParseCut(text string) (Change, error) {
	c, err := parseChange(text)
	if err == nil && c.At.SinceCut {
		err = errors.New("+ is for restoring: it counts from the cut")
	}
	if err != nil {
		return Change{}, fmt.Errorf("cut %q: %w (want name@50%% or name@3s)", text, err)
	}
	return c, nil
}

// ParseRestore reads name@70%, name@3s, or name@+2s for a time since the cut.
func ParseRestore(text string) (Change, error) {
	c, err := parseChange(text)
	if err != nil {
		return Change{}, fmt.Errorf("restore %q: %w (want name@70%%, name@3s or name@+2s)", text, err)
	}
	c.Up = true
	return c, nil
}

func parseChange(text string) (Change, error) {
	name, when, ok := strings.Cut(text, "@")
	if !ok {
		return Change{}, errors.New("no @")
	}
	if name == "" {
		return Change{}, errors.New("no name")
	}
	if strings.HasSuffix(when, "%") {
		share, err := parseShare(when)
		if err != nil {
			return Change{}, fmt.Errorf("%q is %w", when, err)
		}
		return Change{Path: name, At: Moment{Share: share, After: -1}}, nil
	}
	rest, sinceCut := strings.CutPrefix(when, "+")
	after, err := time.ParseDuration(rest)
	if err != nil || after < 0 {
		return Change{}, fmt.Errorf("%q is neither a share such as 50%% nor a time such as 3s", when)
	}
	return Change{Path: name, At: Moment{Share: -1, After: after, SinceCut: sinceCut}}, nil
}

// DefaultPlan cuts the first path half-way and brings it back, if there is
// another to go on with.
func DefaultPlan(paths []Path) []Change {
	if len(paths) < 2 {
		return nil
	}
	return []Change{
		{Path: paths[0].Name, At: Moment{Share: 0.5, After: -1}},
		{Path: paths[0].Name, Up: true, At: Moment{Share: 0.7, After: -1}},
	}
}

// validatePlan finds mistakes that would otherwise show as a download that
// does nothing.
func validatePlan(paths []Path, plan []Change) error {
	cut := make(map[string]bool)
	for _, c := range plan {
		if !slices.ContainsFunc(paths, func(p Path) bool { return p.Name == c.Path }) {
			return fmt.Errorf("no path is called %q; there are %s", c.Path, names(paths))
		}
		cut[c.Path] = cut[c.Path] || !c.Up
	}
	for _, c := range plan {
		if c.Up && !cut[c.Path] {
			return fmt.Errorf("path %q is restored but never cut", c.Path)
		}
	}
	for _, p := range paths {
		restored := slices.ContainsFunc(plan, func(c Change) bool { return c.Path == p.Name && c.Up })
		if !cut[p.Name] || restored {
			return nil
		}
	}
	return errors.New("every path is cut and none is restored, so the download could not end")
}

func names(paths []Path) string {
	var list []string
	for _, p := range paths {
		list = append(list, p.Name)
	}
	return strings.Join(list, ", ")
}

// scheduler knows which changes of a plan are due. It belongs to the goroutine
// that reads the download.
type scheduler struct {
	left  []Change
	cutAt map[string]time.Duration
}

func newScheduler(plan []Change) *scheduler {
	return &scheduler{left: slices.Clone(plan), cutAt: make(map[string]time.Duration)}
}

// due takes out the changes whose moment has come, in the order of the plan.
func (s *scheduler) due(elapsed time.Duration, share float64) []Change {
	var now []Change
	s.left = slices.DeleteFunc(s.left, func(c Change) bool {
		if !s.come(c, elapsed, share) {
			return false
		}
		if !c.Up {
			s.cutAt[c.Path] = elapsed
		}
		now = append(now, c)
		return true
	})
	return now
}

func (s *scheduler) come(c Change, elapsed time.Duration, share float64) bool {
	cutAt, wasCut := s.cutAt[c.Path]
	switch {
	case c.Up && !wasCut:
		return false // what is up cannot be restored
	case c.At.Share >= 0:
		return share >= c.At.Share
	case c.At.SinceCut:
		return elapsed >= cutAt+c.At.After
	}
	return elapsed >= c.At.After
}
