package balance

import "testing"

// TestName keeps connections apart that were opened for different names.
func TestName(t *testing.T) {
	for _, mode := range []ReuseMode{ReuseAlways, ReuseNever} {
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) { cfg.Reuse.Mode = mode })
		client := clientAt(t, "10.0.0.1")
		first := get(t, p, Request{Client: client, Name: "one.example"})
		first.Put()
		other := get(t, p, Request{Client: client, Name: "two.example"})
		if other == first {
			t.Errorf("%v: two names share a connection", mode)
		}
		other.Put()
		none := get(t, p, Request{Client: client})
		if none == first || none == other {
			t.Errorf("%v: a request without name got a connection that was opened for one", mode)
		}
		none.Put()
		if again := get(t, p, Request{Client: client, Name: "one.example"}); again != first {
			t.Errorf("%v: the connection for a name was not used again", mode)
		} else {
			again.Put()
		}
	}
}

// TestConnectRetriesAreFree: what could not be sent takes nothing from the
// budget, however long a backend stays away.
func TestConnectRetriesAreFree(t *testing.T) {
	var d failingDial
	d.set("a:80", true)
	p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
		cfg.Dial, cfg.Retries = d.dial, RetryBudget{Ratio: -1, PerSecond: -1}
	})
	client := clientAt(t, "10.0.0.1")
	for range 100 {
		get(t, p, Request{Client: client, Fresh: true}).Discard()
	}
}
