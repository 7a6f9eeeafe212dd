package balance

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFailuresInStats looks at what Stats tell of requests, connections and
// checks that failed.
func TestFailuresInStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) { cfg.Dial = d.dial })
		client := clientAt(t, "10.0.0.1")
		if m := p.Stats().Members[0]; m.Failures != 0 || m.LastError != "" || !m.LastFailure.IsZero() || m.Why != "" {
			t.Errorf("at first: %+v", m)
		}

		c := get(t, p, Request{Client: client})
		c.ReportError(errors.New("status 500"))
		c.Discard()
		if m := p.Stats().Members[0]; m.Failures != 1 || m.LastError != "status 500" || !m.LastFailure.Equal(time.Now()) {
			t.Errorf("after a failed request: %d failures, %q at %v", m.Failures, m.LastError, m.LastFailure)
		}

		d.set("a:80", true)
		if _, err := p.Get(t.Context(), Request{Client: client}); err == nil {
			t.Fatal("a connection to a dead server")
		}
		if m := p.Stats().Members[0]; m.Failures < 2 || m.LastError == "status 500" {
			t.Errorf("after a failed connection: %d failures, %q", m.Failures, m.LastError)
		}
	})
}

// TestWhyInStats looks at the reason for a member's state.
func TestWhyInStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
			cfg.Dial = d.dial
			cfg.Check = &Check{Interval: time.Second, Fall: 1}
		})
		d.set("a:80", true)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		m := p.Stats().Members[0]
		if m.State != Down || !strings.HasPrefix(m.Why, "check failed: ") || !strings.HasSuffix(m.Why, m.LastError) {
			t.Errorf("%v because of %q, last error %q", m.State, m.Why, m.LastError)
		}
	})
}
