package main

import (
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/braid-mptcp/braid/get"
)

func TestGetView(t *testing.T) {
	stopped := false
	v := newGetView(get.Config{URL: "http://h/file"}, func() { stopped = true })
	if text := v.View(); !strings.Contains(text, "http://h/file") {
		t.Errorf("before the first snapshot: %s", text)
	}
	for i := range 100 {
		s := get.Snapshot{At: time.Duration(i) * 100 * time.Millisecond, Bytes: int64(i) * 50_000, Size: 10 << 20, Rate: 60e6}
		s.Paths = []get.PathSnapshot{{Name: "eth0", Up: i < 50, Rate: 20e6, Bytes: 1 << 20}}
		if i > 10 { // another uplink comes
			s.Paths = append(s.Paths, get.PathSnapshot{Name: "wlan0", Up: true, Backup: true, Rate: 40e6, Bytes: 3 << 20})
		}
		v.Update(s)
	}
	v.Update(get.Event{At: time.Second, Path: "eth0", What: "down"})
	text := v.View()
	for _, want := range []string{"eth0: down", "wlan0", "backup", "together", "60.0 Mbit/s", "████", " 47 % of 10.0 MiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// Its size is not always known.
	v.Update(get.Snapshot{At: time.Second, Bytes: 5 << 20, Size: -1})
	if text := v.View(); !strings.Contains(text, "5.0 MiB  1.0 s") || strings.Contains(text, "NaN") {
		t.Errorf("without a size:\n%s", text)
	}
	if stopped {
		t.Error("stopped by itself")
	}
}

// TestGetViewFits: lines are no wider than the terminal, and a path that carries
// nothing while another does is not called up.
func TestGetViewFits(t *testing.T) {
	v := newGetView(get.Config{URL: "http://h/f"}, func() {})
	for i := range 30 {
		v.Update(get.Snapshot{At: time.Duration(i) * 100 * time.Millisecond, Bytes: int64(i) * 1e6, Size: 100e6, Rate: 80e6,
			Paths: []get.PathSnapshot{{Name: "eth0", Up: true, Bytes: 1e6}, {Name: "wlan0", Up: true, Rate: 80e6, Bytes: 29e6}}})
	}
	for _, columns := range []int{60, 80, 200} {
		v.Update(tea.WindowSizeMsg{Width: columns, Height: 24})
		text := v.View()
		for _, line := range strings.Split(text, "\n") {
			if n := lipgloss.Width(line); n > columns {
				t.Errorf("%d columns in a terminal of %d: %s", n, columns, line)
			}
		}
		if !strings.Contains(text, "silent") || strings.Count(text, "up\n") != 1 {
			t.Errorf("one path is up, the other silent:\n%s", text)
		}
	}
}

func TestGetLine(t *testing.T) {
	s := get.Snapshot{At: 1500 * time.Millisecond, Bytes: 50, Size: 200, Rate: 12.3e6,
		Paths: []get.PathSnapshot{{Name: "eth0", Up: true, Rate: 7e6}, {Name: "wlan0", Rate: 5.3e6}}}
	if got, want := getLine(s), "   1.5 s   25 %    12.3 Mbit/s  eth0   7.0  wlan0   5.3 (down)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Size = -1
	if got := getLine(s); !strings.Contains(got, "50 B") || strings.Contains(got, "%") {
		t.Errorf("without a size: %q", got)
	}
}
