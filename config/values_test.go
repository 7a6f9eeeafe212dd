package config

import (
	"encoding"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/balance"
)

// text reads a value and writes it again.
func text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](s string) (T, string) {
	var v T
	if err := P(&v).UnmarshalText([]byte(s)); err != nil {
		return v, "error: " + err.Error()
	}
	out, err := any(v).(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return v, err.Error()
	}
	return v, string(out)
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]struct {
		d   time.Duration
		out string
	}{
		"0":       {0, "0"},
		"0s":      {0, "0"},
		"30s":     {30 * time.Second, "30s"},
		"90s":     {90 * time.Second, "1m30s"},
		"60m":     {time.Hour, "1h"},
		"1h0m1s":  {time.Hour + time.Second, "1h0m1s"},
		"1.5s":    {1500 * time.Millisecond, "1.5s"},
		"500ms":   {500 * time.Millisecond, "500ms"},
		"10us":    {10 * time.Microsecond, "10µs"},
		"7d":      {7 * 24 * time.Hour, "7d"},
		"1d12h":   {36 * time.Hour, "36h"},
		"20m":     {20 * time.Minute, "20m"},
		"100h":    {100 * time.Hour, "100h"},
		"36500d":  {36500 * 24 * time.Hour, "36500d"},
		"2h45m5s": {2*time.Hour + 45*time.Minute + 5*time.Second, "2h45m5s"},
	} {
		if d, out := text[Duration](s); d.D() != want.d || out != want.out {
			t.Errorf("%s: got %v, written %s; want %v, %s", s, d.D(), out, want.d, want.out)
		} else if again, _ := text[Duration](out); again != d {
			t.Errorf("%s: written %s, read %v", s, out, again)
		}
	}
	for _, s := range []string{"", "s", "5", "1.5", "-5s", "+5s", "5 s", "5 parsecs", "d", "-1d", "1d-2h", "99999999999d",
		"9999999999h", "1e3", "40000d", "1d1d", "NaN", "inf"} {
		if d, out := text[Duration](s); !strings.HasPrefix(out, "error: ") {
			t.Errorf("%q: got %v", s, d)
		}
	}
}

func TestSize(t *testing.T) {
	for s, want := range map[string]struct {
		n   int64
		out string
	}{
		"0": {0, "0"}, "512": {512, "512"}, "512B": {512, "512"}, "64KiB": {65536, "64KiB"}, "64k": {65536, "64KiB"},
		"10MB": {10e6, "10000000"}, "1GiB": {1 << 30, "1GiB"}, "2048MiB": {2 << 30, "2GiB"}, "3 kB": {3000, "3000"},
		"1K": {1024, "1KiB"}, "8G": {8 << 30, "8GiB"},
	} {
		if n, out := text[Size](s); int64(n) != want.n || out != want.out {
			t.Errorf("%s: got %d, written %s; want %d, %s", s, n, out, want.n, want.out)
		}
	}
	for _, s := range []string{"", "KiB", "-1", "+1", "1.5K", "1e3", "9999999999G", "10 bananas", "0x10", "99999999999999999999"} {
		if n, out := text[Size](s); !strings.HasPrefix(out, "error: ") {
			t.Errorf("%q: got %d", s, n)
		}
	}
}

func TestOtherValues(t *testing.T) {
	check := func(kind, s, got, want string) {
		t.Helper()
		if want == "" && !strings.HasPrefix(got, "error: ") || want != "" && got != want {
			t.Errorf("%s %q: got %s, want %s", kind, s, got, want)
		}
	}
	for s, want := range map[string]string{"0.2": "20%", "20%": "20%", "1": "100%", "0": "0%", "12.5%": "12.5%", "1.1": "", "-1%": "", "": "", "%": ""} {
		_, got := text[Ratio](s)
		check("ratio", s, got, want)
	}
	for s, want := range map[string]string{"0": "0", "32": "32", "/24": "24", "255.255.255.0": "24", "0.0.0.0": "0", "255.255.255.255": "32",
		"255.254.0.0": "15", "33": "", "-1": "", "255.0.255.0": "", "::": "", "x": ""} {
		_, got := text[SourceMask](s)
		check("mask", s, got, want)
	}
	for s, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/8", "10.0.0.1": "10.0.0.1/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128",
		"10.0.0.1/8": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "": ""} {
		_, got := text[Prefix](s)
		check("prefix", s, got, want)
	}
	for s, want := range map[string]string{"200": "200", "200-399": "200-399", "200 - 204": "200-204", "99": "", "600": "", "300-200": "", "2xx": "", "-": ""} {
		_, got := text[StatusRange](s)
		check("status", s, got, want)
	}
	for s, want := range map[string]string{"disabled": "disabled", "indefinite": "indefinite", "30s": "30s", "0": "", "-1": "", "never": ""} {
		_, got := text[IdleOverride](s)
		check("idle override", s, got, want)
	}
	for s, want := range map[string]string{"client": "client", "header:x-user": "header:x-user", "cookie:a": "cookie:a", "cookie:": "", "header": "",
		"header:a b": "", "path:x": "", "": "", "client:": ""} {
		_, got := text[HashKey](s)
		check("hash", s, got, want)
	}
}

func TestAddress(t *testing.T) {
	for s, want := range map[string]Address{
		":443":                   {Port: 443},
		"*:443":                  {Port: 443},
		"mptcp@:443":             {Network: NetworkMPTCP, Port: 443},
		"mptcp4@192.0.2.1:80":    {Network: NetworkMPTCP4, Host: "192.0.2.1", Port: 80},
		"mptcp6@[2001:db8::1]:1": {Network: NetworkMPTCP6, Host: "2001:db8::1", Port: 1},
		"tcp@web.example.org:80": {Network: NetworkTCP, Host: "web.example.org", Port: 80},
		"ipv4@:80":               {Network: NetworkTCP4, Port: 80},
		"ipv6@:80":               {Network: NetworkTCP6, Port: 80},
		"localhost:0":            {Host: "localhost"},
		"[::1]:8080":             {Host: "::1", Port: 8080},
		"my_service:65535":       {Host: "my_service", Port: 65535},
		"unix@/run/web@1.sock":   {Network: NetworkUnix, Path: "/run/web@1.sock"},
		"fd@3":                   {Network: NetworkFD, Path: "3"},
		"fd@web":                 {Network: NetworkFD, Path: "web"},
	} {
		var got Address
		if err := got.UnmarshalText([]byte(s)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", s, got, err, want)
		}
		var again Address
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%s: written %s, read %+v, %v", s, got, again, err)
		}
	}
	for s, want := range map[string]string{
		"":                      "want host:port",
		"443":                   "want host:port",
		"192.0.2.1":             "want host:port",
		"2001:db8::1:80":        "want host:port",
		":65536":                "the port is not a number",
		":http":                 "the port is not a number",
		":-1":                   "the port is not a number",
		"mtcp@:80":              `unknown network "mtcp"; did you mean "mptcp"?`,
		"@:80":                  "unknown network",
		"mptcp4@[::1]:80":       "not of the family of mptcp4",
		"tcp6@127.0.0.1:80":     "not of the family of tcp6",
		"http://127.0.0.1:3000": `want host:port`,
		"a b:80":                "neither an address nor the name of a host",
		"-a:80":                 "neither an address nor the name of a host",
		"unix@":                 "nothing behind the",
		"fd@":                   "nothing behind the",
		"999.1.1.1.:":           "the port is not",
	} {
		var a Address
		if err := a.UnmarshalText([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", s, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"source_mask", "max_size", "max_age", "max_reuse", "idle_timeout_override"}
	for got, want := range map[string]string{
		"sourcemask": "source_mask", "SourceMask": "source_mask", "source-mask": "source_mask", "suorce_mask": "source_mask",
		"maxsize": "max_size", "max_sise": "max_size", "max_ag": "max_age", "idle_timeout": "idle_timeout_override", "max": "", "id": "", "idle_timeout_overide": "idle_timeout_override",
		"xyz": "", "": "", "connections": "", strings.Repeat("x", 100): "",
	} {
		if n := nearest(got, names); n != want {
			t.Errorf("%q: got %q, want %q", got, n, want)
		}
	}
	for got, want := range map[string]string{"foo": "", "of": "off", "onf": "off", "jsno": "json"} {
		if n := nearest(got, []string{"off", "json"}); n != want {
			t.Errorf("%q: got %q, want %q", got, n, want)
		}
	}
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "badc", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%s to %s: got %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("%s to %s: got %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

// TestAgreesWithBalance: package balance calls things the same, and has the same
// defaults.
func TestAgreesWithBalance(t *testing.T) {
	same := func(kind string, words []string, theirs ...fmt.Stringer) {
		t.Helper()
		known := make(map[string]bool)
		for _, s := range theirs {
			known[s.String()] = true
		}
		for _, w := range words {
			if !known[w] {
				t.Errorf("%s: balance knows no %q", kind, w)
			}
		}
		if len(known) != len(words) {
			t.Errorf("%s: there are %v here and %v there", kind, words, theirs)
		}
	}
	same("policy", Policy("").words(), balance.RoundRobin, balance.LeastConnections, balance.PowerOfTwo, balance.Maglev)
	same("http_reuse", HTTPReuse("").words(), balance.ReuseSafe, balance.ReuseNever, balance.ReuseAggressive, balance.ReuseAlways)
	same("limit_type", LimitType("").words(), balance.LimitNone, balance.LimitIdle, balance.LimitStrict)
	same("check", CheckType("").words(), balance.CheckTCP, balance.CheckTLS, balance.CheckHTTP)
	c := Default()
	p, o, tcp := c.Pools["web"], c.OneConnect[DefaultProfile], c.TCPProfiles[DefaultProfile]
	for _, test := range []struct {
		name      string
		got, want any
	}{
		{"max_size", o.MaxSize, balance.DefaultMaxSize},
		{"max_age", o.MaxAge.D(), balance.DefaultMaxAge},
		{"max_reuse", o.MaxReuse, balance.DefaultMaxReuse},
		{"idle_timeout", tcp.IdleTimeout.D(), balance.DefaultIdleTimeout},
		{"http_reuse", string(o.HTTPReuse), balance.ReuseMode(0).String()},
		{"limit_type", string(o.LimitType), balance.LimitType(0).String()},
		{"policy", string(p.Policy), balance.Policy(0).String()},
		{"table_size", p.TableSize, balance.DefaultTableSize},
		{"queue_timeout", p.QueueTimeout.D(), balance.DefaultQueueTimeout},
		{"connect_timeout", p.ConnectTimeout.D(), balance.DefaultConnectTimeout},
		{"connect_retries", p.ConnectRetries, balance.DefaultConnectRetries},
		{"file interval", fresh[BackendFile]().Interval.D(), balance.DefaultFileInterval},
		{"dns interval", fresh[BackendDNS]().Interval.D(), balance.DefaultDNSInterval},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v here, %v there", test.name, test.got, test.want)
		}
	}
}
