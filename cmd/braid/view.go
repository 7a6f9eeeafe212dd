package main

import (
	"context"
	"io"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
)

// What the live views of braid demo and braid get have in common.

// runLive runs something under a view that is drawn anew whenever it is shown
// something. The view may stop it.
func runLive[R any](ctx context.Context, w io.Writer, view func(stop func()) tea.Model,
	run func(ctx context.Context, show func(tea.Msg)) (R, error)) (R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The interrupt key is a key here, not a signal; signals go to ctx.
	program := tea.NewProgram(view(cancel), tea.WithOutput(w), tea.WithoutSignalHandler())
	type result struct {
		report R
		err    error
	}
	results := make(chan result, 1)
	go func() {
		report, err := run(ctx, program.Send)
		results <- result{report, err}
		program.Quit()
	}()
	_, err := program.Run()
	if err != nil {
		cancel()
	}
	r := <-results
	if err == nil {
		err = r.err
	}
	return r.report, err
}

// stopOnKey stops at the keys that people try.
func stopOnKey(key tea.KeyMsg, stop func()) {
	if s := key.String(); s == "ctrl+c" || s == "q" || s == "esc" {
		stop()
	}
}

// What the view looks like, where the terminal is wide enough.
const (
	barWidth     = 40
	historyWidth = 60
	besideBar    = 38 // columns of a line with a bar, the name and the bar not counted
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

func pathStyle(i int) lipgloss.Style {
	return lipgloss.NewStyle().Foreground(pathColours[i%len(pathColours)])
}

// even evens out a rate over a few snapshots, so that bars do not tremble.
func even(old, now float64) float64 {
	const weight = 0.4
	return old + weight*(now-old)
}

// appendRate adds the rate of a snapshot, which shots came before, to the chart.
func appendRate(history []float64, shots int, rate float64) []float64 {
	if shots%shotsPerColumn == 0 || len(history) == 0 {
		history = append(history, 0)
		history = history[max(0, len(history)-historyWidth):]
	}
	history[len(history)-1] += rate / shotsPerColumn
	return history
}

// fit gives the width of something that is so wide at most, beside other
// columns, in a terminal of so many; 0: not known.
func fit(most, beside, terminal int) int {
	const least = 5
	if terminal == 0 {
		return most
	}
	return min(most, max(terminal-beside, least))
}

// bar draws a share from 0 to 1.
func bar(share float64, width int) string {
	full := int(min(max(share, 0), 1)*float64(width) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// chart draws rates over time, newest right, the line's own rate being the top.
func chart(rates []float64, top float64, width int) string {
	levels := []rune(" ▁▂▃▄▅▆▇█")
	rates = rates[max(0, len(rates)-width):]
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(rates)))
	for _, r := range rates {
		level := int(min(max(r/top, 0), 1)*float64(len(levels)-1) + 0.5)
		b.WriteRune(levels[level])
	}
	return b.String()
}
