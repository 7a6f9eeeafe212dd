package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/mattn/go-isatty"

	"github.com/braid-mptcp/braid/lab/demo"
)

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// watchLive runs the download with a view that is drawn anew all the time.
func watchLive(ctx context.Context, w io.Writer, cfg demo.Config) (demo.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The interrupt key is a key here, not a signal; signals go to ctx.
	program := tea.NewProgram(newLiveView(cfg, cancel), tea.WithOutput(w), tea.WithoutSignalHandler())
	cfg.Progress = func(s demo.Snapshot) { program.Send(s) }
	cfg.Happened = func(e demo.Event) { program.Send(e) }
	type result struct {
		report demo.Report
		err    error
	}
	results := make(chan result, 1)
	go func() {
		report, err := demo.Run(ctx, cfg)
		results <- result{report, err}
		program.Quit()
	}()
	if _, err := program.Run(); err != nil {
		cancel()
		<-results
		return demo.Report{}, err
	}
	r := <-results
	return r.report, r.err
}

// What the view looks like.
const (
	barWidth     = 40
	historyWidth = 60
	eventLines   = 8
	// A column of the chart is the mean of so many snapshots, so that a
	// download of usual length fits the chart.
	shotsPerColumn = 2
)

var (
	titleStyle = lipgloss.NewStyle().Bold(true)
	faintStyle = lipgloss.NewStyle().Faint(true)
	cutStyle   = lipgloss.NewStyle().Foreground(lipgloss.Color("9")).Bold(true)
	upStyle    = lipgloss.NewStyle().Foreground(lipgloss.Color("10"))
	// pathColours tell the lines apart.
	pathColours = []lipgloss.Color{"12", "13", "11", "14", "10", "9"}
)

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
		if s := msg.String(); s == "ctrl+c" || s == "q" || s == "esc" {
			v.stop()
		}
	case demo.Event:
		v.events = append(v.events, msg)
	case demo.Snapshot:
		v.take(msg)
	}
	return v, nil
}

// take evens out the rates over a few snapshots, so that bars do not tremble.
func (v *liveView) take(s demo.Snapshot) {
	const weight = 0.4
	even := func(old, now float64) float64 { return old + weight*(now-old) }
	v.shot = s
	v.total = even(v.total, s.Rate)
	for i, p := range s.Paths {
		v.smooth[i] = even(v.smooth[i], p.Rate)
		if v.shots%shotsPerColumn == 0 {
			h := append(v.history[i], 0)
			v.history[i] = h[max(0, len(h)-historyWidth):]
		}
		v.history[i][len(v.history[i])-1] += p.Rate / shotsPerColumn
	}
	v.shots++
}

// View implements tea.Model.
func (v *liveView) View() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", titleStyle.Render("braid demo: "+headline(v.cfg)))
	sum := 0.0
	for _, p := range v.cfg.Paths {
		sum += p.Rate
	}
	for i, p := range v.shot.Paths {
		colour := lipgloss.NewStyle().Foreground(pathColours[i%len(pathColours)])
		fmt.Fprintf(&b, "%-*s  %s  %5.1f Mbit/s  %8s  %s\n", v.nameCols, p.Path.Name,
			colour.Render(bar(v.smooth[i]/p.Path.Rate)), v.smooth[i]/1e6, formatBytes(float64(p.Bytes)), pathState(p))
	}
	fmt.Fprintf(&b, "%-*s  %s  %5.1f Mbit/s  %8s\n\n", v.nameCols, "together", bar(v.total/sum), v.total/1e6,
		formatBytes(float64(v.shot.Bytes)))
	for i, p := range v.shot.Paths {
		colour := lipgloss.NewStyle().Foreground(pathColours[i%len(pathColours)])
		fmt.Fprintf(&b, "%-*s  %s\n", v.nameCols, p.Path.Name, colour.Render(chart(v.history[i], p.Path.Rate)))
	}
	done := float64(v.shot.Bytes) / float64(v.shot.Size)
	fmt.Fprintf(&b, "\n%-*s  %s  %3.0f %%  %.1f s\n\n", v.nameCols, "file", bar(done), 100*done, v.shot.At.Seconds())
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

// bar draws a share from 0 to 1.
func bar(share float64) string {
	full := int(min(max(share, 0), 1)*barWidth + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}

// chart draws rates over time, newest right, the line's own rate being the top.
func chart(rates []float64, top float64) string {
	levels := []rune(" ▁▂▃▄▅▆▇█")
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", historyWidth-len(rates)))
	for _, r := range rates {
		level := int(min(max(r/top, 0), 1)*float64(len(levels)-1) + 0.5)
		b.WriteRune(levels[level])
	}
	return b.String()
}
