package main

import "github.com/braid-mptcp/braid/config"

// configCmd is `braid config`.
type configCmd struct {
	PrintDefault printDefaultCmd `cmd:"" help:"Print a configuration with all defaults, to start from."`
}

// printDefaultCmd is `braid config print-default`.
type printDefaultCmd struct{}

// Run implements the command.
func (printDefaultCmd) Run(con console) error { return config.Print(con.out, config.Default()) }
