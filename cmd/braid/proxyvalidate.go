package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/proxy/certs"
)

// validateCmd is `braid proxy validate`.
type validateCmd struct {
	File string `arg:"" help:"The configuration."`
}

// Help is the rest of what --help prints.
func (*validateCmd) Help() string {
	return `Tells all mistakes at once, each with its place. Certificates, keys and files of
servers are read; no address is bound, no server is asked. Warnings are of what has
no effect on this host.

Exit codes: 0 when there is no mistake, 1 when there are some.`
}

// Run implements the command.
func (v *validateCmd) Run(con console, p *proxyCmd) error {
	if given := p.given(); given != "" || p.Config != "" {
		return exitError{errors.New("validate takes a file and no flags"), exitUsage}
	}
	cfg, err := config.Load(v.File)
	if err == nil {
		err = checkConfig(cfg)
	}
	if err != nil {
		n := 1
		if all := (config.Errors)(nil); errors.As(err, &all) {
			n = len(all)
		}
		fmt.Fprintln(con.err, err)
		return fmt.Errorf("%s: %s", v.File, count(n, "mistake"))
	}
	for _, note := range withoutEffect(cfg) {
		fmt.Fprintln(con.err, "warning:", note)
	}
	_, err = fmt.Fprintf(con.out, "%s: ok, %s, %s\n", v.File, count(len(cfg.Listeners), "listener"), count(len(cfg.Pools), "pool"))
	return err
}

// withoutEffect tells of what is no mistake, and yet has no effect with the stack
// that would be used on this host.
func withoutEffect(cfg *config.Config) (notes []config.Error) {
	if s := cfg.Network.Stack; s != config.StackKernel && (s != config.StackAuto || kernel.Supported() != nil) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.TCPProfiles)) {
		s := cfg.TCPProfiles[name].Scheduler
		if s == "" {
			continue
		}
		if err := kernel.CheckScheduler(string(s)); err != nil {
			path := "tcp_profiles." + name + ".scheduler"
			notes = append(notes, config.Error{Position: cfg.At(path), Path: path, Message: "has no effect: " + err.Error()})
		}
	}
	return notes
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkConfig looks for what is wrong with a configuration beyond its words, as
// far as that can be told without binding and connecting.
func checkConfig(cfg *config.Config) error {
	c := &checker{cfg: cfg}
	for i, text := range cfg.Network.Endpoints {
		if _, err := kernel.ParseEndpoint(text); err != nil {
			c.add(fmt.Sprintf("network.endpoints[%d]", i), err)
		}
	}
	for i, l := range cfg.Listeners {
		if l.TLS == nil {
			continue
		}
		server, err := certs.NewServer(l.TLS, l.Mode, l.HTTP2, slog.New(slog.DiscardHandler))
		if err != nil {
			c.add(fmt.Sprintf("listeners[%d].tls", i), err)
			continue
		}
		server.Close()
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		c.pool("pools."+name, cfg.Pools[name])
	}
	c.output("log.output", cfg.Log.Output)
	if cfg.Log.Access.Format != config.AccessOff {
		c.output("log.access.output", cfg.Log.Access.Output)
	}
	if len(c.errs) > 0 {
		return c.errs
	}
	return nil
}

// checker collects mistakes.
type checker struct {
	cfg  *config.Config
	errs config.Errors
}

func (c *checker) add(path string, err error) {
	c.errs = append(c.errs, config.Error{Position: c.cfg.At(path), Path: path, Message: err.Error()})
}

func (c *checker) pool(path string, p *config.Pool) {
	if p.TLS != nil {
		if _, err := certs.Client(p.TLS); err != nil {
			c.add(path+".tls", err)
		}
	}
	if p.File == nil {
		return
	}
	text, err := os.ReadFile(string(p.File.Path))
	if err == nil {
		_, err = balance.ParseBackends(text)
	}
	if err != nil {
		c.add(path+".file.path", err)
	}
}

// output checks that there is a directory to write a log to.
func (c *checker) output(path, name string) {
	if name == "stderr" || name == "stdout" {
		return
	}
	if info, err := os.Stat(filepath.Dir(name)); err != nil {
		c.add(path, err)
	} else if !info.IsDir() {
		c.add(path, fmt.Errorf("%s is not a directory", filepath.Dir(name)))
	}
}
