package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// compileEdits makes changes of a header ready; nil: there are none. Host, where
// it may be set, goes to host.
func compileEdits(c *config.HeaderEdit, host *[]byte) (*http1.Edits, error) {
	if c.Empty() {
		return nil, nil
	}
	e := &http1.Edits{}
	fail := func(name string) error {
		return fmt.Errorf("%w: %s", http1.ErrEdit, name)
	}
	for _, name := range c.Remove {
		if err := e.Remove(name); err != nil {
			return nil, fail(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		if strings.EqualFold(name, "host") && host != nil && c.Set[name] != "" {
			*host = []byte(c.Set[name])
			continue
		}
		if err := e.Set(name, c.Set[name]); err != nil {
			return nil, fail(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		if err := e.Add(name, c.Add[name]); err != nil {
			return nil, fail(name)
		}
	}
	return e, nil
}

// mentions says whether edits remove or set a field.
func mentions(c *config.HeaderEdit, name string) bool {
	for _, r := range c.Remove {
		if prefix, open := strings.CutSuffix(r, "*"); strings.EqualFold(r, name) ||
			open && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	for set := range c.Set {
		if strings.EqualFold(set, name) {
			return true
		}
	}
	return false
}
