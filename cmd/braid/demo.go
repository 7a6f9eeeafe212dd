package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/braid-mptcp/braid/lab/demo"
	"github.com/braid-mptcp/braid/link/pcap"
)

// demoCmd is `braid demo`.
type demoCmd struct {
	Size    string   `default:"48MiB" placeholder:"SIZE" help:"Size of the file (${default}): bytes, or with k, M, G, KiB, MiB, GiB."`
	Path    []string `sep:"none" placeholder:"NAME=RATE,DELAY[,LOSS]" help:"A line, for example wired=40M,10ms,0.1%; the rate counts IP packets, the delay is one way. Repeat for more. Default: wired=40M,10ms and wireless=20M,30ms."`
	Cut     []string `sep:"none" placeholder:"NAME@WHEN" help:"Cut a line after a share of the bytes (wired@50%) or a time (wired@3s). Repeat for more. Default: the first line at 50%."`
	Restore []string `sep:"none" placeholder:"NAME@WHEN" help:"Bring a line back: wired@70%, wired@7s, or wired@+2s after its cut. Default: 70% when no --cut is given."`
	NoCut   bool     `help:"Cut nothing."`
	Pcap    string   `type:"path" placeholder:"FILE" help:"Record every packet at the client as pcapng, one interface for each line."`
	JSON    bool     `name:"json" help:"Print one JSON object at the end and nothing else."`
	Seed    uint64   `default:"1" help:"Seed of the file, the keys and the lines' faults (${default})."`

	cfg demo.Config // what the flags say
}

// Validate is called by the parser: what it finds is a mistake in the usage.
func (d *demoCmd) Validate() error {
	var err error
	d.cfg.Seed = d.Seed
	if d.cfg.Size, err = parseSize(d.Size); err != nil {
		return err
	}
	if d.cfg.Paths, err = parseAll(d.Path, demo.ParsePath); err != nil {
		return err
	}
	if len(d.Path) == 0 {
		d.cfg.Paths = demo.DefaultPaths()
	}
	if d.cfg.Plan, err = d.plan(); err != nil {
		return err
	}
	return d.cfg.Validate()
}

// plan puts the flags about cuts together.
func (d *demoCmd) plan() ([]demo.Change, error) {
	if d.NoCut {
		if len(d.Cut)+len(d.Restore) > 0 {
			return nil, errors.New("--no-cut goes with neither --cut nor --restore")
		}
		return nil, nil
	}
	cuts, err := parseAll(d.Cut, demo.ParseCut)
	if err != nil {
		return nil, err
	}
	restores, err := parseAll(d.Restore, demo.ParseRestore)
	if err != nil {
		return nil, err
	}
	for _, c := range demo.DefaultPlan(d.cfg.Paths) {
		switch {
		case len(d.Cut) > 0: // whoever says what to cut says what to restore
		case !c.Up:
			cuts = append(cuts, c)
		case len(d.Restore) == 0:
			restores = append(restores, c)
		}
	}
	return append(cuts, restores...), nil
}

func parseAll[T any](texts []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, text := range texts {
		one, err := parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

var errHash = errors.New("the file arrived damaged: its SHA-256 is wrong")

// Run implements the command.
func (d *demoCmd) Run(ctx context.Context, con console) error {
	capture, closeCapture, err := openCapture(d.Pcap)
	if err != nil {
		return err
	}
	d.cfg.Capture = capture
	report, err := d.watch(ctx, con)
	if closeErr := closeCapture(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if d.JSON {
		encoder := json.NewEncoder(con.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = printReport(con.out, report, d.Pcap)
	}
	if err == nil && !report.SHA256OK {
		err = errHash
	}
	return err
}

// watch runs the download with the view that suits.
func (d *demoCmd) watch(ctx context.Context, con console) (demo.Report, error) {
	switch {
	case d.JSON:
		return demo.Run(ctx, d.cfg)
	case con.terminal:
		return watchLive(ctx, con.out, d.cfg)
	}
	return watchPlain(ctx, con.out, d.cfg)
}

// openCapture begins a capture in a file; without a name there is none.
func openCapture(name string) (*pcap.Writer, func() error, error) {
	if name == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, nil, fmt.Errorf("--pcap: %w", err)
	}
	w := pcap.NewWriter(file)
	return w, func() error {
		err := errors.Join(w.Close(), file.Close())
		if err != nil {
			return fmt.Errorf("--pcap: %w", err)
		}
		return nil
	}, nil
}

// printReport says in a few lines how it went.
func printReport(w io.Writer, r demo.Report, capture string) error {
	p := &printer{w: w}
	p.f("\n%s in %.1f s: %.1f Mbit/s", formatBytes(float64(r.Bytes)), r.Seconds, r.GoodputMbps)
	whole := r.GoodputMbps
	if r.BeforeCutMbps > 0 {
		whole = r.BeforeCutMbps
		p.f("; before the cut %.1f", whole)
	}
	p.f("\n")
	for _, path := range r.Paths {
		p.f("  %-10s %10s  %4.1f %%  a line of %.3g Mbit/s; together %.2f times as fast", path.Name,
			formatBytes(float64(path.Bytes)), 100*path.Share, path.RateMbps, whole/path.RateMbps)
		if path.ReinjectedBytes > 0 {
			p.f("; %s reinjected", formatBytes(float64(path.ReinjectedBytes)))
		}
		p.f("\n")
	}
	p.f("longest stall %.0f ms\n", r.LongestStallMS)
	if r.Fallback {
		p.f("fell back to plain TCP: %s\n", r.FallbackReason)
	} else {
		p.f("Multipath TCP version %d, no fallback\n", r.MPTCPVersion)
	}
	if r.SHA256OK {
		p.f("SHA-256 verified: %s\n", r.SHA256)
	}
	if capture != "" {
		p.f("packets recorded in %s\n", capture)
	}
	return p.err
}

// printer prints until something fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
