package demo

import (
	"strings"
	"testing"
	"time"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		text string
		want Path
	}{
		{"wired=40M,10ms", Path{"wired", 40e6, 10 * time.Millisecond, 0}},
		{"wired=40Mbit/s,10ms,0.1%", Path{"wired", 40e6, 10 * time.Millisecond, 0.001}},
		{"a-1=1.5G,0s,0.25", Path{"a-1", 1.5e9, 0, 0.25}},
		{"x=10k,1s,0", Path{"x", 10e3, time.Second, 0}},
		{"x=500000,1s", Path{"x", 500e3, time.Second, 0}},
	}
	for _, tt := range tests {
		if got, err := ParsePath(tt.text); err != nil || got != tt.want {
			t.Errorf("ParsePath(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestParsePathErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"wired", "no ="},
		{"=40M,10ms", "name"},
		{"1x=40M,10ms", "name"},
		{"x=40M", "1 values"},
		{"x=40M,10ms,1%,2", "4 values"},
		{"x=fast,10ms", "rate"},
		{"x=NaN,10ms", "rate"},
		{"x=-4M,10ms", "rate"},
		{"x=1,10ms", "rate"},
		{"x=40M,10", "delay"},
		{"x=40M,-1ms", "delay"},
		{"x=40M,1h", "delay"},
		{"x=40M,10ms,100%", "loss"},
		{"x=40M,10ms,-1%", "loss"},
		{"x=40M,10ms,NaN", "loss"},
	} {
		if got, err := ParsePath(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParsePath(%q) = %v, %v, want an error about %q", tt.text, got, err, tt.want)
		}
	}
}

func TestParseChanges(t *testing.T) {
	tests := []struct {
		text  string
		parse func(string) (Change, error)
		want  Change
	}{
		{"wired@50%", ParseCut, Change{"wired", false, Moment{Share: 0.5, After: -1}}},
		{"wired@0.5s", ParseCut, Change{"wired", false, Moment{Share: -1, After: 500 * time.Millisecond}}},
		{"wired@70%", ParseRestore, Change{"wired", true, Moment{Share: 0.7, After: -1}}},
		{"wired@+2s", ParseRestore, Change{"wired", true, Moment{Share: -1, After: 2 * time.Second, SinceCut: true}}},
		{"wired@7s", ParseRestore, Change{"wired", true, Moment{Share: -1, After: 7 * time.Second}}},
	}
	for _, tt := range tests {
		if got, err := tt.parse(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"wired", "@50%", "wired@", "wired@50", "wired@120%", "wired@-1%", "wired@-2s", "wired@soon"} {
		if got, err := ParseCut(text); err == nil {
			t.Errorf("ParseCut(%q) = %v, want an error", text, got)
		}
		if got, err := ParseRestore(text); err == nil {
			t.Errorf("ParseRestore(%q) = %v, want an error", text, got)
		}
	}
	if got, err := ParseCut("wired@+2s"); err == nil {
		t.Errorf("a cut since the cut: %v, want an error", got)
	}
}

func changes(t *testing.T, texts ...string) []Change {
	t.Helper()
	var plan []Change
	for _, text := range texts {
		parse := ParseCut
		rest, restore := strings.CutPrefix(text, "restore ")
		if restore {
			parse = ParseRestore
		}
		c, err := parse(rest)
		if err != nil {
			t.Fatal(err)
		}
		plan = append(plan, c)
	}
	return plan
}

func TestValidate(t *testing.T) {
	two := DefaultPaths()
	tests := []struct {
		name  string
		cfg   Config
		wants string // in the error; "" for none
	}{
		{"default", Config{Size: 1, Paths: two, Plan: DefaultPlan(two)}, ""},
		{"no cut", Config{Size: 1, Paths: two[:1]}, ""},
		{"default for one path", Config{Size: 1, Paths: two[:1], Plan: DefaultPlan(two[:1])}, ""},
		{"both cut, one back", Config{Size: 1, Paths: two,
			Plan: changes(t, "wired@10%", "wireless@20%", "restore wired@+1s")}, ""},
		{"no size", Config{Paths: two}, "size"},
		{"no path", Config{Size: 1}, "0 paths"},
		{"same name", Config{Size: 1, Paths: []Path{two[0], two[0]}}, "two paths"},
		{"unknown path", Config{Size: 1, Paths: two, Plan: changes(t, "wirde@10%")}, "wired, wireless"},
		{"restored only", Config{Size: 1, Paths: two, Plan: changes(t, "restore wired@10%")}, "never cut"},
		{"all cut", Config{Size: 1, Paths: two, Plan: changes(t, "wired@10%", "wireless@20%")}, "could not end"},
		{"only path cut", Config{Size: 1, Paths: two[:1], Plan: changes(t, "wired@10%")}, "could not end"},
	}
	for _, tt := range tests {
		err := tt.cfg.Validate()
		if tt.wants == "" && err != nil || tt.wants != "" && (err == nil || !strings.Contains(err.Error(), tt.wants)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wants)
		}
	}
}

func TestSchedule(t *testing.T) {
	s := newScheduler(changes(t, "restore wired@+2s", "wired@50%", "wireless@3s", "restore wireless@40%", "wired@90%"))
	steps := []struct {
		at    time.Duration
		share float64
		want  string
	}{
		{0, 0, ""},
		{time.Second, 0.49, ""},
		{1500 * time.Millisecond, 0.5, "wired down"},
		{2 * time.Second, 0.5, ""},
		{3 * time.Second, 0.5, "wireless down, wireless up"},
		{3499 * time.Millisecond, 0.5, ""},
		{3500 * time.Millisecond, 0.5, "wired up"},
		{4 * time.Second, 0.95, "wired down"},
		{time.Hour, 1, ""},
	}
	for _, step := range steps {
		var got []string
		for _, c := range s.due(step.at, step.share) {
			what := " down"
			if c.Up {
				what = " up"
			}
			got = append(got, c.Path+what)
		}
		if got := strings.Join(got, ", "); got != step.want {
			t.Errorf("at %v and %.0f %%: %q, want %q", step.at, 100*step.share, got, step.want)
		}
	}
}

func TestArrivals(t *testing.T) {
	var a arrivals
	for _, at := range []time.Duration{50, 60, 100, 105} {
		a.add(at, 10)
	}
	if a.bytes != 40 || a.first != 50 || a.last != 105 || a.stall != 40 {
		t.Errorf("got %+v: the time to the first byte is no stall", a)
	}
}
