package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/braid-mptcp/braid/get"
)

// watchGetLive downloads with a view that is drawn anew all the time.
func watchGetLive(ctx context.Context, w *os.File, cfg get.Config) (get.Report, error) {
	view := func(stop func()) tea.Model { return newGetView(cfg, stop) }
	return runLive(ctx, w, view, func(ctx context.Context, show func(tea.Msg)) (get.Report, error) {
		cfg.Progress = func(s get.Snapshot) { show(s) }
		cfg.Happened = func(e get.Event) { show(e) }
		return get.Run(ctx, cfg)
	})
}

// getView is the view as bubbletea drives it.
type getView struct {
	url    string
	stop   func()
	shot   get.Snapshot
	paths  map[string]*pathView
	order  []string
	total  float64 // rate, evened out
	top    float64 // the fastest that a path, or all together, ever were
	shots  int
	events []get.Event

	columns int // of the terminal; 0: not known
}

// pathView is one path in the view.
type pathView struct {
	last    get.PathSnapshot
	smooth  float64
	history []float64
	moved   time.Duration // when it last carried something
}

func newGetView(cfg get.Config, stop func()) *getView {
	return &getView{url: cfg.URL, stop: stop, paths: make(map[string]*pathView), shot: get.Snapshot{Size: -1}}
}

// Init implements tea.Model.
func (v *getView) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (v *getView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		stopOnKey(msg, v.stop)
	case tea.WindowSizeMsg:
		v.columns = msg.Width
	case get.Event:
		v.events = append(v.events, msg)
	case get.Snapshot:
		v.take(msg)
	}
	return v, nil
}

func (v *getView) take(s get.Snapshot) {
	v.shot = s
	v.total = even(v.total, s.Rate)
	v.top = max(v.top, v.total)
	for _, p := range s.Paths {
		if v.paths[p.Name] == nil {
			v.paths[p.Name] = &pathView{moved: s.At}
			v.order = append(v.order, p.Name)
		}
		path := v.paths[p.Name]
		path.last, path.smooth = p, even(path.smooth, p.Rate)
		if p.Rate > 0 || s.Rate == 0 {
			path.moved = s.At
		}
	}
	for _, path := range v.paths {
		path.history = appendRate(path.history, v.shots, path.last.Rate)
	}
	v.shots++
}

// View implements tea.Model.
func (v *getView) View() string {
	var b strings.Builder
	cols := len("together")
	for _, name := range v.order {
		cols = max(cols, len(name))
	}
	wide, long := fit(barWidth, cols+besideBar, v.columns), fit(historyWidth, cols+2, v.columns)
	top := max(v.top, 1)
	fmt.Fprintf(&b, "%s\n\n", titleStyle.Render("braid get "+v.url))
	for i, name := range v.order {
		p := v.paths[name]
		fmt.Fprintf(&b, "%-*s  %s  %7.1f Mbit/s  %9s  %s\n", cols, name,
			pathStyle(i).Render(bar(p.smooth/top, wide)), p.smooth/1e6, formatBytes(float64(p.last.Bytes)), v.state(p))
	}
	fmt.Fprintf(&b, "%-*s  %s  %7.1f Mbit/s  %9s\n\n", cols, "together", bar(v.total/top, wide), v.total/1e6,
		formatBytes(float64(v.shot.Bytes)))
	for i, name := range v.order {
		fmt.Fprintf(&b, "%-*s  %s\n", cols, name, pathStyle(i).Render(chart(v.paths[name].history, top, long)))
	}
	if v.shot.Size > 0 {
		done := float64(v.shot.Bytes) / float64(v.shot.Size)
		fmt.Fprintf(&b, "\n%-*s  %s  %3.0f %% of %s  %.1f s\n\n", cols, "file", bar(done, wide), 100*done,
			formatBytes(float64(v.shot.Size)), v.shot.At.Seconds())
	} else {
		fmt.Fprintf(&b, "\n%-*s  %s  %.1f s\n\n", cols, "file", formatBytes(float64(v.shot.Bytes)), v.shot.At.Seconds())
	}
	for _, e := range v.events[max(0, len(v.events)-eventLines):] {
		fmt.Fprintf(&b, "%s  %s\n", faintStyle.Render(fmt.Sprintf("%5.1f s", e.At.Seconds())), describeGet(e))
	}
	return b.String()
}

// silence is how long a path may carry nothing, while others do, and still be
// shown as up: a cut that nobody is told of looks like that.
const silence = time.Second

func (v *getView) state(p *pathView) string {
	switch {
	case !p.last.Up:
		return cutStyle.Render("down")
	case p.last.Backup:
		return faintStyle.Render("backup")
	case v.shot.At-p.moved >= silence:
		return faintStyle.Render("silent")
	}
	return upStyle.Render("up")
}
