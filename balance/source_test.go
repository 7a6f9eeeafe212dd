package balance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestParseBackends(t *testing.T) {
	text := `
# web servers
10.0.0.1:80
10.0.0.2:80 name=big weight=3 max_connections=200   # two sockets
[2001:db8::1]:8080	priority=1
mptcp@web.example.org:443 drain
unix@/run/web.sock weight=2
10.0.0.4:80 drain=false
`
	got, err := ParseBackends([]byte(text))
	want := []Backend{
		{Name: "10.0.0.1:80", Network: "tcp", Address: "10.0.0.1:80", Weight: 1},
		{Name: "big", Network: "tcp", Address: "10.0.0.2:80", Weight: 3, MaxConnections: 200},
		{Name: "[2001:db8::1]:8080", Network: "tcp", Address: "[2001:db8::1]:8080", Weight: 1, Priority: 1},
		{Name: "mptcp@web.example.org:443", Network: "mptcp", Address: "web.example.org:443", Weight: 1, Drain: true},
		{Name: "unix@/run/web.sock", Network: "unix", Address: "/run/web.sock", Weight: 2},
		{Name: "10.0.0.4:80", Network: "tcp", Address: "10.0.0.4:80", Weight: 1},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestParseBackendsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no backends",
		"# nothing\n\n":                  "no backends",
		"a:1\n10.0.0.1":                  "line 2: ",
		"a:1 wieght=3":                   `"wieght" is none of`,
		"a:1 weight=x":                   "weight=x",
		"a:1 weight=70000":               "weight 70000",
		"a:1 weight=-1":                  "weight -1",
		"a:1 priority=-1":                "priority -1",
		"a:1 max_connections=-1":         "-1 connections",
		"a:1 drain=maybe":                "drain=maybe",
		"a:1\nb:1 name=a:1":              "two backends are called a:1",
		"a:1 name=x\nb:1 name=x":         "two backends are called x",
		"a:1 weight=9999999999999999999": "weight=9999999999999999999",
	} {
		_, err := ParseBackends([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrConfig) {
			t.Errorf("%q: got %v, want something with %q", text, err, want)
		}
	}
}

func FuzzParseBackends(f *testing.F) {
	f.Add("10.0.0.1:80 name=x weight=3 priority=2 max_connections=4 drain # c\n[::1]:2")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseBackends([]byte(text))
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, b := range list {
			if b.Name == "" || b.Weight < 1 || seen[b.Name] {
				t.Errorf("%q: %+v", text, b)
			}
			seen[b.Name] = true
		}
	})
}

// updates collects what a source reports.
type updates struct {
	mu   sync.Mutex
	list []string
}

func (u *updates) update(list []Backend, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.list = append(u.list, "error")
		return
	}
	var names []string
	for _, b := range list {
		s := b.Address
		if b.Weight > 1 || b.Priority > 0 {
			s += fmt.Sprintf("*%d/%d", b.Weight, b.Priority)
		}
		names = append(names, s)
	}
	u.list = append(u.list, strings.Join(names, " "))
}

func (u *updates) want(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.list) != len(want) || len(want) > 0 && !reflect.DeepEqual(u.list, want) {
		t.Errorf("%s: got %q, want %q", when, u.list, want)
	}
	u.list = nil
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backends")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a:1\nb:1\n")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var u updates
		go File{Path: path}.Run(ctx, u.update)
		u.want(t, "at first", "a:1 b:1")
		time.Sleep(10 * time.Second)
		u.want(t, "unchanged")
		write("a:1\nc:1\n") // of the same length, in the same moment
		time.Sleep(time.Second)
		u.want(t, "changed", "a:1 c:1")
		write("a:1 wieght=3\n")
		time.Sleep(10 * time.Second)
		u.want(t, "broken", "error")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		u.want(t, "gone", "error")
		write("a:1\nc:1\n")
		time.Sleep(time.Second)
		u.want(t, "back again", "a:1 c:1")
	})
}

// dnsServer answers queries of net.Resolver out of its zone.
type dnsServer struct {
	mu    sync.Mutex
	zone  map[string][]dnsmessage.ResourceBody // by "name." with the type's letter
	fails bool
}

func (s *dnsServer) set(name string, bodies ...dnsmessage.ResourceBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zone == nil {
		s.zone = make(map[string][]dnsmessage.ResourceBody)
	}
	s.zone[name] = bodies
}

func (s *dnsServer) fail(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = on
}

// init reads the system's resolver configuration outside of any bubble, where
// it belongs: package net keeps it, with a channel, for all.
func init() {
	(&net.Resolver{PreferGo: true}).LookupNetIP(context.Background(), "ip", "localhost")
}

// resolver asks the server over pipes, as if over TCP.
func (s *dnsServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go s.serve(far)
		return near, nil
	}}
}

func (s *dnsServer) serve(c net.Conn) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := s.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (s *dnsServer) answer(query []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		panic("BUG: bad query")
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	bodies, known := s.zone[q.Name.String()]
	switch {
	case s.fails:
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, body := range bodies {
		kind := map[reflect.Type]dnsmessage.Type{
			reflect.TypeFor[*dnsmessage.AResource]():    dnsmessage.TypeA,
			reflect.TypeFor[*dnsmessage.AAAAResource](): dnsmessage.TypeAAAA,
			reflect.TypeFor[*dnsmessage.SRVResource]():  dnsmessage.TypeSRV,
		}[reflect.TypeOf(body)]
		if kind == q.Type && !s.fails {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: kind, Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return answer
}

func a(d byte) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: [4]byte{192, 0, 2, d}}
}

func aaaa(d byte) dnsmessage.ResourceBody {
	return &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: d}}
}

func srv(target string, port, weight, priority uint16) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(target), Port: port, Weight: weight, Priority: priority}
}

func TestDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var server dnsServer
		var u updates
		server.set("web.example.org.", a(2), a(1), aaaa(1))
		go DNS{Name: "web.example.org.", Port: 80, Resolver: server.resolver()}.Run(ctx, u.update)
		u.want(t, "at first", "192.0.2.1:80 192.0.2.2:80 [2001:db8::1]:80")
		server.set("web.example.org.", aaaa(1), a(1), a(2))
		time.Sleep(40 * time.Second)
		u.want(t, "in another order")
		server.set("web.example.org.", a(1), a(3))
		time.Sleep(30 * time.Second)
		u.want(t, "changed", "192.0.2.1:80 192.0.2.3:80")
		server.fail(true)
		time.Sleep(27 * time.Second)
		synctest.Wait()
		if len(u.list) < 2 || u.list[0] != "error" {
			t.Errorf("failing: got %q, want errors", u.list)
		}
		u.list = nil
		server.fail(false)
		time.Sleep(30 * time.Second)
		u.want(t, "the same as before")
		server.set("web.example.org.")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if len(u.list) == 0 || u.list[0] != "error" {
			t.Errorf("without addresses: got %q, want errors", u.list)
		}
	})
}

func TestDNSOneFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var server dnsServer
		server.set("web.example.org.", a(1), aaaa(1))
		for network, want := range map[string]string{"ip4": "192.0.2.1:443", "ip6": "[2001:db8::1]:443"} {
			var u updates
			go DNS{Name: "web.example.org.", Port: 443, Network: network, Resolver: server.resolver()}.Run(ctx, u.update)
			u.want(t, network, want)
		}
	})
}

func TestDNSService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var server dnsServer
		var u updates
		server.set("one.example.org.", a(1))
		server.set("two.example.org.", a(2), aaaa(2))
		server.set("_http._tcp.example.org.", srv("one.example.org.", 8080, 10, 1), srv("two.example.org.", 8081, 0, 2))
		go DNS{Name: "_http._tcp.example.org.", SRV: true, Resolver: server.resolver()}.Run(ctx, u.update)
		u.want(t, "at first", "192.0.2.1:8080*10/1 192.0.2.2:8081*1/2 [2001:db8::2]:8081*1/2")
		// One target without address: half a list would put all load on one.
		server.set("two.example.org.")
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if len(u.list) == 0 || u.list[0] != "error" {
			t.Errorf("got %q, want errors", u.list)
		}
	})
}

// TestSourceFailure: a pool goes on with the last list.
func TestSourceFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backends")
	if err := os.WriteFile(path, []byte("a:80\nb:80"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		p := pipePool(t, nil, func(cfg *Config) {
			cfg.Source = File{Path: path}
			cfg.Listed = func(l Listing) {
				mu.Lock()
				told = append(told, fmt.Sprint(errors.Is(l.Err, ErrConfig), l.Added, l.Removed))
				mu.Unlock()
			}
		})
		client := clientAt(t, "10.0.0.1")
		request := func(int) Request { return Request{Client: client} }
		if got := count(names(t, p, 4, request)); got["a:80"] != 2 || got["b:80"] != 2 {
			t.Errorf("got %v", got)
		}
		if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond) // not when it is read
		if got := count(names(t, p, 4, request)); got["a:80"] != 2 || got["b:80"] != 2 {
			t.Errorf("with a broken file: %v", got)
		}
		if err := os.WriteFile(path, []byte("b:80\nc:80"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond) // not when it is read
		if got := count(names(t, p, 4, request)); got["b:80"] != 2 || got["c:80"] != 2 {
			t.Errorf("with a new file: %v", got)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"true [] []", "false [c:80] [a:80]"}; !reflect.DeepEqual(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// TestListing: whoever asks is told once of what lasts.
func TestListing(t *testing.T) {
	var told []Listing
	p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
		cfg.Listed = func(l Listing) { told = append(told, l) }
	})
	list := func(names ...string) (all []Backend) {
		for _, name := range names {
			all = append(all, Backend{Name: name, Address: name + ":80"})
		}
		return all
	}
	broken := errors.New("broken")
	for i, step := range []struct {
		list []Backend
		err  error
		want []Listing
	}{
		{nil, broken, []Listing{{Pool: p.Name(), Err: broken}}},
		{nil, broken, nil},
		{nil, ErrConfig, []Listing{{Pool: p.Name(), Err: ErrConfig}}},
		{list("a"), nil, []Listing{{Pool: p.Name()}}},
		{list("a"), nil, nil},
		{list("c", "b", "a"), nil, []Listing{{Pool: p.Name(), Added: []string{"b", "c"}}}},
		{list("b"), nil, []Listing{{Pool: p.Name(), Removed: []string{"a", "c"}}}},
		{nil, context.Canceled, nil},
	} {
		told = nil
		p.update(step.list, step.err)
		if !reflect.DeepEqual(told, step.want) {
			t.Errorf("step %d: told %v, want %v", i, told, step.want)
		}
	}
}
