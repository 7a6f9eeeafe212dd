package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/mattn/go-isatty"

	"github.com/braid-mptcp/braid/lab/demo"
)

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// watchLive runs the download with a view that is drawn anew all the time.
func watchLive(ctx context.Context, w io.Writer, cfg demo.Config) (demo.Report, error) {
	view := func(stop func()) tea.Model { return newLiveView(cfg, stop) }
	return runLive(ctx, w, view, func(ctx context.Context, show func(tea.Msg)) (demo.Report, error) {
		cfg.Progress = func(s demo.Snapshot) { show(s) }
		cfg.Happened = func(e demo.Event) { show(e) }
		return demo.Run(ctx, cfg)
	})
}

// liveView is the view as bubbletea drives it.
type liveView struct {
	cfg      demo.Config
	stop     func()
	shot     demo.Snapshot
	smooth   []float64   // rate of each path, evened out
	total    float64     // the sum's
	history  [][]float64 // mean rates of each path, newest last
	shots    int
	events   []demo.Event
	nameCols int
	columns  int // of the terminal; 0: not known
}

func newLiveView(cfg demo.Config, stop func()) *liveView {
	v := &liveView{cfg: cfg, stop: stop, nameCols: len("together"),
		smooth: make([]float64, len(cfg.Paths)), history: make([][]float64, len(cfg.Paths))}
	for _, p := range cfg.Paths {
		v.nameCols = max(v.nameCols, len(p.Name))
		v.shot.Paths = append(v.shot.Paths, demo.PathSnapshot{Path: p})
	}
	v.shot.Size = cfg.Size
	return v
}

// Init implements tea.Model.
func (v *liveView) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (v *liveView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		stopOnKey(msg, v.stop)
	case tea.WindowSizeMsg:
		v.columns = msg.Width
	case demo.Event:
		v.events = append(v.events, msg)
	case demo.Snapshot:
		v.take(msg)
	}
	return v, nil
}

func (v *liveView) take(s demo.Snapshot) {
	v.shot = s
	v.total = even(v.total, s.Rate)
	for i, p := range s.Paths {
		v.smooth[i] = even(v.smooth[i], p.Rate)
		v.history[i] = appendRate(v.history[i], v.shots, p.Rate)
	}
	v.shots++
}

// View implements tea.Model.
func (v *liveView) View() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", titleStyle.Render("braid demo: "+headline(v.cfg)))
	wide, long := fit(barWidth, v.nameCols+besideBar, v.columns), fit(historyWidth, v.nameCols+2, v.columns)
	sum := 0.0
	for _, p := range v.cfg.Paths {
		sum += p.Rate
	}
	for i, p := range v.shot.Paths {
		fmt.Fprintf(&b, "%-*s  %s  %5.1f Mbit/s  %8s  %s\n", v.nameCols, p.Path.Name,
			pathStyle(i).Render(bar(v.smooth[i]/p.Path.Rate, wide)), v.smooth[i]/1e6, formatBytes(float64(p.Bytes)), pathState(p))
	}
	fmt.Fprintf(&b, "%-*s  %s  %5.1f Mbit/s  %8s\n\n", v.nameCols, "together", bar(v.total/sum, wide), v.total/1e6,
		formatBytes(float64(v.shot.Bytes)))
	for i, p := range v.shot.Paths {
		fmt.Fprintf(&b, "%-*s  %s\n", v.nameCols, p.Path.Name, pathStyle(i).Render(chart(v.history[i], p.Path.Rate, long)))
	}
	done := float64(v.shot.Bytes) / float64(v.shot.Size)
	fmt.Fprintf(&b, "\n%-*s  %s  %3.0f %%  %.1f s\n\n", v.nameCols, "file", bar(done, wide), 100*done, v.shot.At.Seconds())
	for _, e := range v.events[max(0, len(v.events)-eventLines):] {
		fmt.Fprintf(&b, "%s  %s\n", faintStyle.Render(fmt.Sprintf("%5.1f s", e.At.Seconds())), describe(e))
	}
	return b.String()
}

func pathState(p demo.PathSnapshot) string {
	switch {
	case p.Cut:
		return cutStyle.Render("cut")
	case p.Open:
		return upStyle.Render("up")
	}
	return faintStyle.Render("no subflow")
}
