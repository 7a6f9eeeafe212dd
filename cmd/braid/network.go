package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/kernel"
)

// networkFlags say over what a command speaks.
type networkFlags struct {
	Stack     string          `enum:"auto,kernel,user,plain" default:"auto" help:"Multipath TCP of the kernel, Braid's own behind a TUN interface (user), or none (plain). auto takes the first that will do."`
	Interface []string        `placeholder:"NAME" help:"Use this uplink only. Repeat for more; the first carries the first subflow. Default: all."`
	Endpoint  []string        `sep:"none" placeholder:"WORDS" help:"What an uplink is used for, in the words of ip mptcp endpoint: 'dev wlan0 backup'. Repeat for more."`
	Scheduler braid.Scheduler `placeholder:"NAME" help:"Which path carries which bytes of those sent: default, roundrobin or redundant (every byte on every path). The kernel has one for all connections; auto takes the user stack if it is another."`

	cfg braid.OpenConfig
}

// Validate is called by the parser.
func (f *networkFlags) Validate() error {
	if err := f.cfg.Kind.UnmarshalText([]byte(f.Stack)); err != nil {
		return err
	}
	if f.cfg.Kind == braid.Plain && f.Scheduler != braid.SchedulerUnset {
		return errors.New("--scheduler is for Multipath TCP, and --stack plain has none")
	}
	f.cfg.Connections.Scheduler = f.Scheduler
	f.cfg.Interfaces = f.Interface
	var err error
	f.cfg.Endpoints, err = parseAll(f.Endpoint, kernel.ParseEndpoint)
	return err
}

// open opens the network that the flags describe. Warnings go to w.
func (f *networkFlags) open(ctx context.Context, w io.Writer) (braid.Network, error) {
	cfg := f.cfg
	warnings := newWarnings(w)
	cfg.Warn = warnings.print
	return braid.Open(ctx, cfg)
}

// warnings prints each warning once in a while.
type warnings struct {
	mu   sync.Mutex
	w    io.Writer
	last map[string]time.Time
}

func newWarnings(w io.Writer) *warnings { return &warnings{w: w, last: make(map[string]time.Time)} }

// A warning about something that goes on is not repeated for so long.
const warningPause = 10 * time.Minute

func (w *warnings) print(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if last, ok := w.last[message]; ok && now.Sub(last) < warningPause {
		return
	}
	w.last[message] = now
	fmt.Fprintf(w.w, "braid: warning: %s\n", message)
}

// exitError is an error that has an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// ExitCode is what the program ends with.
func (e exitError) ExitCode() int { return e.code }
