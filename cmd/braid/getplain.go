package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/get"
)

// getPlainInterval is how often a line of progress is printed where there is no
// terminal.
const getPlainInterval = time.Second

// watchGetPlain downloads and prints a line now and then.
func watchGetPlain(ctx context.Context, w io.Writer, cfg get.Config) (get.Report, error) {
	p := &printer{w: w}
	cfg.Interval = getPlainInterval
	cfg.Happened = func(e get.Event) { p.f("%6.1f s  %s\n", e.At.Seconds(), describeGet(e)) }
	cfg.Progress = func(s get.Snapshot) { p.f("%s\n", getLine(s)) }
	return get.Run(ctx, cfg)
}

func describeGet(e get.Event) string {
	if e.Path == "" {
		return e.What
	}
	return e.Path + ": " + e.What
}

func getLine(s get.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6.1f s  %s  %6.1f Mbit/s", s.At.Seconds(), share(s), s.Rate/1e6)
	for _, path := range s.Paths {
		fmt.Fprintf(&b, "  %s %5.1f", path.Name, path.Rate/1e6)
		if !path.Up {
			b.WriteString(" (down)")
		}
	}
	return b.String()
}

// share is how much is there, in percent where that is known.
func share(s get.Snapshot) string {
	if s.Size <= 0 {
		return fmt.Sprintf("%9s", formatBytes(float64(s.Bytes)))
	}
	return fmt.Sprintf("%3.0f %%", 100*float64(s.Bytes)/float64(s.Size))
}
