package balance

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"
)

// pipeDial connects to nobody in particular: the far end swallows what comes.
func pipeDial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		var b [512]byte
		for {
			if _, err := far.Read(b[:]); err != nil {
				far.Close()
				return
			}
		}
	}()
	return near, nil
}

// pipePool has the backends of list and connections to nobody.
func pipePool(t testing.TB, list []Backend, change func(*Config)) *Pool {
	t.Helper()
	for i := range list {
		if list[i].Address == "" {
			list[i].Address = fmt.Sprintf("%s:80", list[i].Name)
		}
	}
	return poolOf(t, func(cfg *Config) {
		cfg.Source, cfg.Dial = Static(list), pipeDial
		if change != nil {
			change(cfg)
		}
	})
}

// names gives the backends of n requests, one after the other.
func names(t testing.TB, p *Pool, n int, request func(i int) Request) []string {
	t.Helper()
	var got []string
	for i := range n {
		c := get(t, p, request(i))
		got = append(got, c.Member().Name())
		c.Discard()
	}
	return got
}

func count(list []string) map[string]int {
	m := make(map[string]int)
	for _, s := range list {
		m[s]++
	}
	return m
}

func TestRoundRobin(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	for _, test := range []struct {
		list []Backend
		want string
	}{
		{[]Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}}, "a b c a b c a"},
		{[]Backend{{Name: "a", Weight: 5}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}, "a a b a c a a"},
		{[]Backend{{Name: "a", Weight: 2}, {Name: "b", Weight: 1}}, "a b a a b a a"},
	} {
		p := pipePool(t, test.list, nil)
		got := strings.Join(names(t, p, 7, func(int) Request { return Request{Client: client} }), " ")
		if got != test.want {
			t.Errorf("%v: got %s, want %s", test.list, got, test.want)
		}
	}
}

// TestLeastConnections keeps requests open.
func TestLeastConnections(t *testing.T) {
	p := pipePool(t, []Backend{{Name: "a", Weight: 2}, {Name: "b"}, {Name: "c"}},
		func(cfg *Config) { cfg.Policy = LeastConnections })
	client := clientAt(t, "10.0.0.1")
	var held []*Conn
	for range 40 {
		held = append(held, get(t, p, Request{Client: client}))
	}
	for i, want := range []int{20, 10, 10} {
		if got := p.Members()[i].Active(); got < want-1 || got > want+1 {
			t.Errorf("%s has %d requests, want about %d", p.Members()[i].Name(), got, want)
		}
	}
	// The one that gets rid of its requests gets the next ones.
	for _, c := range held {
		if c.Member().Name() == "b" {
			c.Discard()
		}
	}
	for range 5 {
		if got := get(t, p, Request{Client: client}).Member().Name(); got != "b" {
			t.Errorf("request goes to %s, want b", got)
		}
	}
}

// TestLeastConnectionsTakesTurns: idle members are alike.
func TestLeastConnectionsTakesTurns(t *testing.T) {
	p := pipePool(t, []Backend{{Name: "a", Weight: 10}, {Name: "b"}}, func(cfg *Config) { cfg.Policy = LeastConnections })
	client := clientAt(t, "10.0.0.1")
	got := count(names(t, p, 20, func(int) Request { return Request{Client: client} }))
	if got["a"] != 10 || got["b"] != 10 {
		t.Errorf("got %v, want 10 each", got)
	}
}

func TestPowerOfTwo(t *testing.T) {
	list := []Backend{{Name: "a", Weight: 3}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	p := pipePool(t, list, func(cfg *Config) { cfg.Policy, cfg.Seed = PowerOfTwo, 1 })
	client := clientAt(t, "10.0.0.1")
	// One at a time: the weights alone count.
	got := count(names(t, p, 6000, func(int) Request { return Request{Client: client} }))
	for name, want := range map[string]float64{"a": 3000, "b": 1000, "c": 1000, "d": 1000} {
		if math.Abs(float64(got[name])-want) > 0.1*want {
			t.Errorf("%s got %d requests, want about %v", name, got[name], want)
		}
	}
	// All at once: the loads even out far better than by chance, where the
	// standard deviation would be some 20.
	for range 600 {
		get(t, p, Request{Client: client})
	}
	for i, want := range []float64{300, 100, 100, 100} {
		if got := p.Members()[i].Active(); math.Abs(float64(got)-want) > 12 {
			t.Errorf("%s has %d requests, want about %v", p.Members()[i].Name(), got, want)
		}
	}
}

func TestPowerOfTwoIsSeeded(t *testing.T) {
	list := []Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	client := clientAt(t, "10.0.0.1")
	draw := func(seed uint64) string {
		p := pipePool(t, list, func(cfg *Config) { cfg.Policy, cfg.Seed = PowerOfTwo, seed })
		return strings.Join(names(t, p, 50, func(int) Request { return Request{Client: client} }), "")
	}
	if a, b := draw(7), draw(7); a != b {
		t.Errorf("one seed gave %s and %s", a, b)
	}
	if draw(7) == draw(8) {
		t.Error("two seeds gave the same")
	}
}

func maglevList(n int) []Backend {
	var list []Backend
	for i := range n {
		list = append(list, Backend{Name: fmt.Sprint("backend", i)})
	}
	return list
}

func TestMaglevTableIsEven(t *testing.T) {
	list := maglevList(10)
	list[3].Weight = 4
	p := pipePool(t, list, func(cfg *Config) { cfg.Policy = Maglev })
	entries := make(map[string]int)
	v := p.view.Load()
	for _, i := range v.table {
		entries[v.members[i].Name()]++
	}
	share := float64(DefaultTableSize) / 13
	for _, b := range list {
		want := share * float64(max(b.Weight, 1))
		if got := float64(entries[b.Name]); math.Abs(got-want) > 0.01*want {
			t.Errorf("%s has %v entries, want about %.0f", b.Name, got, want)
		}
	}
}

// TestMaglevIsConsistent: keys stay where they are when another backend goes,
// and the order in which backends are listed does not matter.
func TestMaglevIsConsistent(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	const keys = 2000
	where := func(list []Backend) []string {
		p := pipePool(t, list, func(cfg *Config) { cfg.Policy = Maglev })
		return names(t, p, keys, func(i int) Request {
			return Request{Client: client, Hash: HashKey(fmt.Sprint("key", i))}
		})
	}
	all := where(maglevList(10))
	reversed := maglevList(10)
	for i, j := 0, 9; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	for i, got := range where(reversed) {
		if got != all[i] {
			t.Fatalf("key %d goes to %s, and to %s when the list is reversed", i, all[i], got)
		}
	}
	moved := 0
	for i, got := range where(maglevList(9)) { // without backend9
		if all[i] != "backend9" && got != all[i] {
			moved++
		}
	}
	if moved > keys/20 {
		t.Errorf("%d of %d keys moved between backends that stayed", moved, keys)
	}
	if n := len(count(all)); n != 10 {
		t.Errorf("keys go to %d backends of 10", n)
	}
}

// TestMaglevOverflow: a full backend's keys go elsewhere, each to the same one.
func TestMaglevOverflow(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	p := pipePool(t, maglevList(5), func(cfg *Config) { cfg.Policy, cfg.MaxConnections = Maglev, 1 })
	r := Request{Client: client, Hash: HashKey("key")}
	first := get(t, p, r)
	second := get(t, p, r)
	if first.Member() == second.Member() {
		t.Fatal("the limit was exceeded")
	}
	want := second.Member()
	second.Discard()
	if got := get(t, p, r).Member(); got != want {
		t.Errorf("overflow goes to %s, then to %s", want.Name(), got.Name())
	}
}

func TestMaglevKnownHash(t *testing.T) {
	// The hash is a promise to other processes and versions.
	for key, want := range map[string]uint64{"": 0xf52a15e9a9b5e89b, "a": 0x02c0bdbf481420f8} {
		if got := HashKey(key); got != want {
			t.Errorf("HashKey(%q): got %#x, want %#x", key, got, want)
		}
		if got := HashKey([]byte(key)); got != HashKey(key) {
			t.Errorf("bytes of %q hash otherwise", key)
		}
	}
}

func TestPriority(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	p := pipePool(t, []Backend{{Name: "a", Priority: 10}, {Name: "b", Priority: 10}, {Name: "standby", Priority: 20}}, nil)
	request := func(int) Request { return Request{Client: client} }
	if got := count(names(t, p, 10, request)); got["standby"] != 0 {
		t.Errorf("standby got %d requests", got["standby"])
	}
	p.SetDrain("a", true)
	if got := count(names(t, p, 10, request)); got["b"] != 10 {
		t.Errorf("got %v, want b alone", got)
	}
	p.SetDrain("b", true)
	if got := count(names(t, p, 10, request)); got["standby"] != 10 {
		t.Errorf("got %v, want standby alone", got)
	}
	p.SetDrain("a", false)
	if got := count(names(t, p, 10, request)); got["a"] != 10 {
		t.Errorf("got %v, want a alone", got)
	}
}

func TestDrainAndAffinity(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}}, nil)
	cookie := p.Members()[1].Affinity()
	if strings.Contains(cookie, "b:") || len(cookie) != 16 {
		t.Errorf("affinity %q", cookie)
	}
	stick := func(int) Request { return Request{Client: client, Affinity: cookie} }
	if got := count(names(t, p, 10, stick)); got["b"] != 10 {
		t.Errorf("with affinity: %v, want b alone", got)
	}
	if !p.SetDrain("b", true) || p.SetDrain("nobody", true) {
		t.Error("SetDrain does not know its members")
	}
	if got := count(names(t, p, 10, stick)); got["b"] != 10 {
		t.Errorf("with affinity to a draining one: %v, want b alone", got)
	}
	if got := count(names(t, p, 10, func(int) Request { return Request{Client: client} })); got["b"] != 0 {
		t.Errorf("without affinity: %v, want none at b", got)
	}
	if got := count(names(t, p, 10, func(int) Request { return Request{Client: client, Affinity: "unknown"} })); len(got) != 2 {
		t.Errorf("with an unknown affinity: %v", got)
	}
}

// TestAvoid: a request that failed at one goes to another, if there is one.
func TestAvoid(t *testing.T) {
	client := clientAt(t, "10.0.0.1")
	for _, policy := range []Policy{RoundRobin, LeastConnections, PowerOfTwo, Maglev} {
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) { cfg.Policy = policy })
		a := p.Members()[0]
		for range 20 {
			c := get(t, p, Request{Client: client, Avoid: a, Affinity: a.Affinity()})
			if c.Member() == a {
				t.Errorf("%v: the avoided member was chosen", policy)
			}
			c.Discard()
		}
		p.SetDrain("b", true)
		if got := get(t, p, Request{Client: client, Avoid: a}).Member(); got != a {
			t.Errorf("%v: got %s, want the avoided member when there is no other", policy, got.Name())
		}
	}
}

func TestPolicyWithoutMembers(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastConnections, PowerOfTwo, Maglev} {
		p := pipePool(t, nil, func(cfg *Config) { cfg.Policy = policy })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := p.Get(ctx, Request{Client: clientAt(t, "10.0.0.1")}); err != ErrNoBackend {
			t.Errorf("%v: got %v, want %v", policy, err, ErrNoBackend)
		}
		cancel()
		if p.Ready() {
			t.Error("an empty pool is ready")
		}
	}
}
