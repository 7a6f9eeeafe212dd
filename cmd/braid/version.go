package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd is `braid version`.
type versionCmd struct{}

// Run implements the command.
func (versionCmd) Run(con console) error {
	_, err := fmt.Fprintf(con.out, "braid %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is that of the module as the go command stamped it: a tag, or the
// revision that a working tree is at.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version, changed := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			version = "devel-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	return version + changed
}
