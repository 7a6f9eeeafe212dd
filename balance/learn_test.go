package balance

import (
	"strings"
	"testing"
	"time"
)

func TestParseKeepAlive(t *testing.T) {
	for _, test := range []struct {
		value    string
		timeout  time.Duration
		requests int
	}{
		{"timeout=5", 5 * time.Second, 0},
		{"timeout=5, max=100", 5 * time.Second, 100},
		{"max=1,timeout=15", 15 * time.Second, 1},
		{" Timeout = 20 , MAX=3", 20 * time.Second, 3},
		{`timeout="7"`, 7 * time.Second, 0},
		{"timeout=0", 1, 0},
		{"max=9", 0, 9},
		{"", 0, 0},
		{"timeout", 0, 0},
		{"timeout=", 0, 0},
		{"timeout=x", 0, 0},
		{"timeout=-5", 0, 0},
		{"timeout=5s, max=7", 0, 7},
		{"=5,,,timeout=6", 6 * time.Second, 0},
		{"xtimeout=5", 0, 0},
		{"timeout=99999999999999999999", (1 << 30) * time.Second, 0},
	} {
		timeout, requests := ParseKeepAlive(test.value)
		if timeout != test.timeout || requests != test.requests {
			t.Errorf("%q: got %v, %d; want %v, %d", test.value, timeout, requests, test.timeout, test.requests)
		}
		if t2, r2 := ParseKeepAlive([]byte(test.value)); t2 != timeout || r2 != requests {
			t.Errorf("%q: bytes are read otherwise", test.value)
		}
	}
}

func FuzzParseKeepAlive(f *testing.F) {
	for _, s := range []string{"timeout=5, max=100", "", "=", ",", `"`, "timeout==1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		timeout, requests := ParseKeepAlive(s)
		if timeout < 0 || requests < 0 {
			t.Errorf("%q: got %v, %d", s, timeout, requests)
		}
		if timeout != 0 && !strings.Contains(strings.ToLower(s), "timeout") {
			t.Errorf("%q has a timeout of %v", s, timeout)
		}
	})
}

func TestBelow(t *testing.T) {
	for _, test := range []struct{ server, want time.Duration }{
		{0, 0},
		{400 * time.Millisecond, 200 * time.Millisecond},
		{time.Second, 500 * time.Millisecond},
		{5 * time.Second, 4 * time.Second},
		{60 * time.Second, 54 * time.Second},
	} {
		if got := below(test.server); got != test.want {
			t.Errorf("below %v: got %v, want %v", test.server, got, test.want)
		}
	}
}

func TestIdleLearner(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		closed []time.Duration
		want   time.Duration
	}{
		{"too few", []time.Duration{5 * s, 5 * s}, 0},
		{"a timeout", []time.Duration{5 * s, 5*s + 20*time.Millisecond, 5*s + 400*time.Millisecond}, 4 * s},
		{"a restart", []time.Duration{s, 9 * s, 4 * s, 30 * s, 2 * s}, 0},
		{"a restart, then a timeout", []time.Duration{s, 9 * s, 60 * s, 61 * s, 60 * s}, 54 * s},
		{"not kept at all", []time.Duration{1, 2, 3, 4, 5, 6}, 0},
	} {
		var l idleLearner
		for i, idle := range test.closed {
			l.closedEarly(time.Duration(i+1)*s, idle)
		}
		if got := l.current(10 * s); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	// A restart while all are idle equally long.
	l := idleLearner{}
	for range 10 {
		l.closedEarly(s, 5*s)
	}
	if got := l.current(s); got != 0 {
		t.Errorf("ten closed at once: got %v, want none", got)
	}
	// What was learned wrongly wears off.
	l = idleLearner{}
	for i := range earlySamples {
		l.closedEarly(time.Duration(i-earlySamples)*s, 20*time.Minute)
	}
	want := 18 * time.Minute
	for now := time.Duration(0); want > 0; now += unlearnAfter {
		if now > 0 {
			if want *= 2; want > time.Hour {
				want = 0
			}
		}
		if got := l.current(now); got != want {
			t.Errorf("after %v: got %v, want %v", now, got, want)
		}
	}
}
