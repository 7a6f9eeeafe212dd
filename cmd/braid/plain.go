package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/lab/demo"
)

// How often a line of progress is printed where there is no terminal.
const plainInterval = 500 * time.Millisecond

// watchPlain runs the download and prints a line now and then.
func watchPlain(ctx context.Context, w io.Writer, cfg demo.Config) (demo.Report, error) {
	p := &printer{w: w}
	p.f("%s\n", headline(cfg))
	cfg.Interval = plainInterval
	cfg.Happened = func(e demo.Event) { p.f("%6.1f s  %s\n", e.At.Seconds(), describe(e)) }
	cfg.Progress = func(s demo.Snapshot) { p.f("%s\n", plainLine(s)) }
	report, err := demo.Run(ctx, cfg)
	if err == nil {
		err = p.err
	}
	return report, err
}

// headline says what is downloaded over what.
func headline(cfg demo.Config) string {
	var paths []string
	for _, p := range cfg.Paths {
		paths = append(paths, p.String())
	}
	last := len(paths) - 1
	list := paths[last]
	if last > 0 {
		list = strings.Join(paths[:last], ", ") + " and " + list
	}
	return fmt.Sprintf("%s over %s", formatBytes(float64(cfg.Size)), list)
}

// describe says what happened.
func describe(e demo.Event) string {
	if e.Path == "" {
		return string(e.What)
	}
	return e.Path + ": " + string(e.What)
}

func plainLine(s demo.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6.1f s  %3.0f %%  %6.1f Mbit/s", s.At.Seconds(), 100*float64(s.Bytes)/float64(s.Size), s.Rate/1e6)
	for _, p := range s.Paths {
		fmt.Fprintf(&b, "  %s %5.1f", p.Path.Name, p.Rate/1e6)
		if p.Cut {
			b.WriteString(" (cut)")
		}
	}
	return b.String()
}
