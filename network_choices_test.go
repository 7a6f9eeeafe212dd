package braid

import (
	"slices"
	"testing"
	"time"
)

// TestChoices asks again when a moment is over, and only one who asks waits for
// the answer.
func TestChoices(t *testing.T) {
	var c choices
	now := time.Unix(1000, 0)
	asked := 0
	find := func() []string { asked++; return []string{"", string(rune('a' + asked))} }
	want := func(what, name string, times int) {
		t.Helper()
		if got := c.get(now, find); !slices.Equal(got, []string{"", name}) || asked != times {
			t.Errorf("%s: got %q, asked %d times, want %q and %d", what, got, asked, name, times)
		}
	}
	want("at first", "b", 1)
	now = now.Add(choicesFor - 1)
	want("soon", "b", 1)
	now = now.Add(1)
	want("later", "c", 2)
	now = now.Add(choicesFor)
	got := c.get(now, func() []string {
		want("meanwhile", "c", 2)
		return []string{"", "z"}
	})
	if !slices.Equal(got, []string{"", "z"}) {
		t.Errorf("whoever asked got %q", got)
	}
	want("afterwards", "z", 2)
}
