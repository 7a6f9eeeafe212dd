package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/braid-mptcp/braid/paths"
)

// pathsCmd is `braid paths` with its commands.
type pathsCmd struct {
	Show  pathsShowCmd  `cmd:"" default:"withargs" help:"Show uplinks, addresses, routes, endpoints and limits."`
	Setup pathsSetupCmd `cmd:"" help:"Prepare the host for Multipath TCP of the kernel's, over all uplinks."`
}

// pathsShowCmd is `braid paths show`, and `braid paths` without a command.
type pathsShowCmd struct {
	JSON bool `short:"j" name:"json" help:"Print one JSON object."`
}

// Run implements the command.
func (p *pathsShowCmd) Run(con console) error {
	o, err := paths.Look()
	if err != nil {
		return err
	}
	if !p.JSON {
		return o.Print(con.out)
	}
	encoder := json.NewEncoder(con.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(o)
}

// pathsSetupCmd is `braid paths setup`.
type pathsSetupCmd struct {
	Undo      bool     `help:"Take back what was set up."`
	DryRun    bool     `help:"Print the commands that would do the same, and do nothing."`
	Interface []string `placeholder:"NAME" help:"Use this uplink only. Repeat for more. Default: all."`
	Backup    []string `placeholder:"NAME" help:"Use this uplink when no other works only. Repeat for more."`
	Signal    bool     `help:"Announce the addresses to peers, as servers do, instead of opening subflows from them."`
}

// Help is the rest of what --help prints.
func (*pathsSetupCmd) Help() string {
	return `For every uplink: a routing table, so that packets from its address leave by it,
and an endpoint of the path manager. It stays until --undo, or until the system
goes down. Done again, it takes the place of what was there, for uplinks that
have come or changed since.`
}

// Validate is called by the parser.
func (p *pathsSetupCmd) Validate() error {
	if p.Undo && (p.DryRun || p.Signal || len(p.Interface)+len(p.Backup) > 0) {
		return errors.New("--undo goes with no other flag")
	}
	return nil
}

// Run implements the command.
func (p *pathsSetupCmd) Run(con console) error {
	cfg := paths.Config{Interfaces: p.Interface, Backup: p.Backup, Signal: p.Signal}
	switch {
	case p.Undo:
		done, err := paths.Undo()
		if err == nil && !done {
			fmt.Fprintln(con.err, "braid: nothing was set up")
		}
		return err
	case p.DryRun:
		text, err := paths.DryRun(cfg)
		if err == nil {
			_, err = fmt.Fprint(con.out, text)
		}
		return err
	}
	plan, err := paths.Setup(cfg)
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		fmt.Fprintf(con.err, "braid: warning: %s\n", w)
	}
	for _, path := range plan.Paths {
		fmt.Fprintf(con.out, "%s: %s\n", path.Uplink, path.Addr)
	}
	return nil
}

// cleanupCmd is `braid cleanup`.
type cleanupCmd struct{}

// Run implements the command.
func (cleanupCmd) Run(con console) error {
	removed, err := paths.Cleanup()
	for _, r := range removed {
		fmt.Fprintf(con.out, "removed: %s\n", r)
	}
	return err
}
