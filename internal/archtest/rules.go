package archtest

import (
	"cmp"
	"fmt"
	"go/token"
	"path/filepath"
	"slices"
)

// Rule is one thing the source must not do, and why.
type Rule struct{ Name, Reason string }

// The rules. Those of the core apply to the packages in Pure.
var (
	ruleTable      = Rule{"table", "a package without a row in the import table has no agreed place"}
	ruleImport     = Rule{"import", "imports follow the table, or layers stop being layers"}
	ruleDependency = Rule{"dependency", "every other module has a row with its reason and its users: each is code we answer for"}
	rulePanic      = Rule{"panic", `panic is for our own mistakes and begins with "BUG:"; what comes from the wire or a file is an error`}

	ruleStandard   = Rule{"standard", "the core uses only standard packages that neither do I/O nor know a clock nor share state"}
	ruleClock      = Rule{"clock", "the core knows no clock: now comes in as an argument, so that one seed replays one run"}
	ruleRandom     = Rule{"random", "the core draws no random numbers of its own: they come through the configuration, so that one seed replays one run"}
	ruleConcurrent = Rule{"concurrent", "whoever holds the shard's lock drives the core: goroutines and channels would bring the scheduler's order into a run"}
	ruleMapOrder   = Rule{"maporder", `the order of a map differs from run to run; sort first, or mark the line "any order:" with the reason why it cannot show`}
	ruleGlobal     = Rule{"global", "a package variable that changes makes a run depend on what ran before it"}
	ruleOutput     = Rule{"output", "the core does no I/O: what it has to say is an event or a value"}
)

// Violation is one place that breaks a rule.
type Violation struct {
	Pos  token.Position
	Rule Rule
	What string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s (%s)", v.Pos.Filename, v.Pos.Line, v.Rule.Name, v.What, v.Rule.Reason)
}

// Check looks at the module in dir and returns what breaks a rule, in order of
// file and line. An error means that the source could not be read.
func Check(dir string) ([]Violation, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	files, err := parseModule(dir)
	if err != nil {
		return nil, err
	}
	found := checkImports(files)
	found = append(found, checkPanics(files)...)
	impure, err := checkPurity(dir, purePackages(files))
	if err != nil {
		return nil, err
	}
	found = append(found, impure...)
	for i := range found {
		if rel, err := filepath.Rel(dir, found[i].Pos.Filename); err == nil {
			found[i].Pos.Filename = filepath.ToSlash(rel)
		}
	}
	slices.SortFunc(found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Pos.Filename, b.Pos.Filename), cmp.Compare(a.Pos.Offset, b.Pos.Offset),
			cmp.Compare(a.Rule.Name, b.Rule.Name))
	})
	return found, nil
}
