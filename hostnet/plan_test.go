package hostnet

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/kernel"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// homeState is a host with a cable of both families and a mobile uplink, which
// is point to point and has IPv4 alone.
func homeState() State {
	return State{
		Uplinks: []Uplink{
			{
				Name: "eth0", Index: 2, MTU: 1500,
				V4: Way{Addr: addr("192.168.1.5"), Prefix: prefix("192.168.1.5/24"), Gateway: addr("192.168.1.1"), Metric: 100},
				V6: Way{Addr: addr("2001:db8::5"), Prefix: prefix("2001:db8::5/64"), Gateway: addr("fe80::1"), Metric: 100},
			},
			{
				Name: "wwan0", Index: 3, MTU: 1430,
				V4: Way{Addr: addr("10.64.0.9"), Prefix: prefix("10.64.0.9/32"), Metric: 700},
			},
		},
		Prefixes: []netip.Prefix{prefix("192.168.1.0/24"), prefix("198.18.0.0/24"), prefix("198.18.2.0/23")},
		Tables:   []int{254, 255, 5200},
		Sysctls: map[string]string{
			"net/ipv4/conf/eth0/forwarding":        "0",
			"net/ipv4/conf/wwan0/forwarding":       "1",
			"net/ipv6/conf/all/forwarding":         "0",
			"net/ipv6/conf/all/force_forwarding":   "0",
			"net/ipv6/conf/eth0/force_forwarding":  "0",
			"net/ipv6/conf/eth0/accept_ra":         "1",
			"net/ipv6/conf/wwan0/accept_ra":        "0",
			"net/ipv6/conf/wwan0/forwarding":       "1",
			"net/ipv6/conf/wwan0/force_forwarding": "0",
		},
		ForwardDrops: []string{"ip filter FORWARD"},
		Limits:       kernel.Limits{Subflows: 2},
	}
}

// want compares text line by line, without the indentation.
func wantText(t *testing.T, got, want string) {
	t.Helper()
	lines := func(s string) (out []string) {
		for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
			out = append(out, strings.TrimSpace(l))
		}
		return out
	}
	g, w := lines(got), lines(want)
	for i := range max(len(g), len(w)) {
		gl, wl := "(nothing)", "(nothing)"
		if i < len(g) {
			gl = g[i]
		}
		if i < len(w) {
			wl = w[i]
		}
		if gl != wl {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, gl, wl)
		}
	}
}

func TestStackPlan(t *testing.T) {
	p, err := StackPlan(homeState(), StackConfig{Tag: "77", Dev: "braid0", Forwards: []PortForward{{Port: 443}, {Port: 80, To: 8080}}})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, p.String(), `
		# warning: firewall chain "ip filter FORWARD" drops forwarded packets by policy: let it accept those of interface braid0
		# 198.18.1.1 by way of eth0 (192.168.1.5)
		# 198.18.1.2 by way of wwan0 (10.64.0.9)
		# fd62:7261:6964::1 by way of eth0 (2001:db8::5)
		sysctl -w net/ipv6/conf/braid0/addr_gen_mode=1
		ip link set dev braid0 alias braid-77 up
		nft add table ip braid-77 {
		  chain postrouting { type nat hook postrouting priority srcnat;
		    ip saddr 198.18.1.0/24 oifname != "braid0" masquerade }
		  chain prerouting { type nat hook prerouting priority dstnat;
		    ip daddr 192.168.1.5 tcp dport 443 dnat to 198.18.1.1:443
		    ip daddr 192.168.1.5 tcp dport 80 dnat to 198.18.1.1:8080
		    ip daddr 10.64.0.9 tcp dport 443 dnat to 198.18.1.2:443
		    ip daddr 10.64.0.9 tcp dport 80 dnat to 198.18.1.2:8080
		  }
		  chain output { type nat hook output priority dstnat;
		    ip daddr 192.168.1.5 tcp dport 443 dnat to 198.18.1.1:443
		    ip daddr 192.168.1.5 tcp dport 80 dnat to 198.18.1.1:8080
		    ip daddr 10.64.0.9 tcp dport 443 dnat to 198.18.1.2:443
		    ip daddr 10.64.0.9 tcp dport 80 dnat to 198.18.1.2:8080
		  }
		  chain forward { type filter hook forward priority filter;
		    iifname "eth0" ct state established,related accept
		    iifname "eth0" ct status dnat accept
		    iifname "eth0" drop
		  }
		}
		sysctl -w net/ipv4/conf/braid0/forwarding=1
		sysctl -w net/ipv4/conf/eth0/forwarding=1
		ip route add 198.18.1.0/24 dev braid0 table 5201 proto 184
		ip rule add pref 5200 to 198.18.1.0/24 lookup 5201 protocol 184
		ip route add 192.168.1.0/24 dev eth0 table 5202 proto 184
		ip route add default via 192.168.1.1 dev eth0 table 5202 proto 184
		ip route add unreachable default metric 1073741824 table 5202 proto 184
		ip rule add pref 5201 from 198.18.1.1 lookup 5202 protocol 184
		ip route add default dev wwan0 table 5203 proto 184
		ip route add unreachable default metric 1073741824 table 5203 proto 184
		ip rule add pref 5201 from 198.18.1.2 lookup 5203 protocol 184
		nft add table ip6 braid-77 {
		  chain postrouting { type nat hook postrouting priority srcnat;
		    ip6 saddr fd62:7261:6964::/64 oifname != "braid0" masquerade }
		  chain prerouting { type nat hook prerouting priority dstnat;
		    ip6 daddr 2001:db8::5 tcp dport 443 dnat to [fd62:7261:6964::1]:443
		    ip6 daddr 2001:db8::5 tcp dport 80 dnat to [fd62:7261:6964::1]:8080
		  }
		  chain output { type nat hook output priority dstnat;
		    ip6 daddr 2001:db8::5 tcp dport 443 dnat to [fd62:7261:6964::1]:443
		    ip6 daddr 2001:db8::5 tcp dport 80 dnat to [fd62:7261:6964::1]:8080
		  }
		  chain forward { type filter hook forward priority filter;
		    iifname "eth0" ct state established,related accept
		    iifname "eth0" ct status dnat accept
		    iifname "eth0" drop
		  }
		}
		sysctl -w net/ipv6/conf/braid0/force_forwarding=1
		sysctl -w net/ipv6/conf/eth0/force_forwarding=1
		ip -6 route add fd62:7261:6964::/64 dev braid0 table 5201 proto 184
		ip -6 rule add pref 5200 to fd62:7261:6964::/64 lookup 5201 protocol 184
		ip -6 route add 2001:db8::/64 dev eth0 table 5202 proto 184
		ip -6 route add default via fe80::1 dev eth0 table 5202 proto 184
		ip -6 route add unreachable default metric 1073741824 table 5202 proto 184
		ip -6 rule add pref 5201 from fd62:7261:6964::1 lookup 5202 protocol 184
	`)
}

func forwardingOf(p Plan) (lines []string, guarded [][]string) {
	for _, a := range p.Actions {
		if a.Sysctl != nil && !strings.HasSuffix(a.Sysctl.Name, "addr_gen_mode") {
			lines = append(lines, a.Sysctl.Name+" "+a.Sysctl.Old+">"+a.Sysctl.Value)
		}
		if a.Table != nil {
			guarded = append(guarded, a.Table.Guarded)
		}
	}
	return lines, guarded
}

func TestIPv6ForwardingOfOlderKernels(t *testing.T) {
	s := homeState()
	for name := range s.Sysctls {
		if strings.HasSuffix(name, "force_forwarding") {
			delete(s.Sysctls, name)
		}
	}
	p, err := StackPlan(s, StackConfig{Tag: "77", Dev: "braid0"})
	if err != nil {
		t.Fatal(err)
	}
	lines, guarded := forwardingOf(p)
	want := []string{
		"net/ipv4/conf/braid0/forwarding >1", "net/ipv4/conf/eth0/forwarding 0>1",
		"net/ipv6/conf/eth0/accept_ra 1>2", "net/ipv6/conf/wwan0/forwarding 1>1",
		"net/ipv6/conf/all/forwarding 0>1",
	}
	if !reflect.DeepEqual(lines, want) || !reflect.DeepEqual(guarded, [][]string{{"eth0"}, {"*"}}) {
		t.Errorf("got %q, guarded %q\nwant %q", lines, guarded, want)
	}
}

func TestARouterIsNeitherChangedNorGuarded(t *testing.T) {
	s := homeState()
	for name := range s.Sysctls {
		if strings.HasSuffix(name, "forwarding") {
			s.Sysctls[name] = "1"
		}
	}
	p, err := StackPlan(s, StackConfig{Tag: "77", Dev: "braid0"})
	if err != nil {
		t.Fatal(err)
	}
	lines, guarded := forwardingOf(p)
	if want := []string{"net/ipv4/conf/braid0/forwarding >1"}; !reflect.DeepEqual(lines, want) || guarded[0] != nil || guarded[1] != nil {
		t.Errorf("got %q, guarded %q, want %q", lines, guarded, want)
	}
}

// TestAddressesStay shows that an uplink keeps its address while others come
// and go, and gets it back after it was gone.
func TestAddressesStay(t *testing.T) {
	cfg := StackConfig{Tag: "77", Dev: "braid0"}
	first, err := StackPlan(homeState(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	addrs := func(p Plan) map[string]string {
		m := make(map[string]string)
		for _, path := range p.Paths {
			if path.Addr.Is4() {
				m[path.Uplink] = path.Addr.String()
			}
		}
		return m
	}
	s := homeState()
	// Our own prefix and tables are in use now, and do not matter.
	s.Prefixes = append(s.Prefixes, first.Prefix4, first.Prefix6)
	s.Tables = append(s.Tables, 5201, 5202, 5203)
	wlan := Uplink{Name: "wlan0", Index: 4, V4: Way{Addr: addr("192.168.7.7"), Prefix: prefix("192.168.7.7/24"), Gateway: addr("192.168.7.1")}}
	s.Uplinks = []Uplink{wlan, s.Uplinks[1]}
	cfg.Previous = &first
	second, err := StackPlan(s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := addrs(second), map[string]string{"wlan0": "198.18.1.3", "wwan0": "198.18.1.2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("without eth0: %v, want %v", got, want)
	}
	s.Uplinks = nil
	cfg.Previous = &second
	third, err := StackPlan(s, cfg)
	if err != nil || len(third.Paths) != 0 {
		t.Errorf("without uplinks: %v, %v", third.Paths, err)
	}
	cfg.Previous = &third
	fourth, err := StackPlan(homeState(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := addrs(fourth), addrs(first); !reflect.DeepEqual(got, want) {
		t.Errorf("with all again: %v, want %v", got, want)
	}
}

func TestStackPlanRefuses(t *testing.T) {
	good := StackConfig{Tag: "77", Dev: "braid0"}
	if _, err := StackPlan(State{}, good); !errors.Is(err, ErrNoUplink) {
		t.Errorf("no uplinks: %v, want %v", err, ErrNoUplink)
	}
	for _, change := range []func(*StackConfig){
		func(c *StackConfig) { c.Tag = "" },
		func(c *StackConfig) { c.Tag = "../x" },
		func(c *StackConfig) { c.Dev = "" },
		func(c *StackConfig) { c.Prefix4 = prefix("192.168.1.128/25") }, // in use
		func(c *StackConfig) { c.Prefix4 = prefix("10.0.0.0/30") },
		func(c *StackConfig) { c.Prefix4 = prefix("fd00::/64") },
		func(c *StackConfig) { c.Prefix6 = prefix("10.0.0.0/24") },
		func(c *StackConfig) { c.Forwards = []PortForward{{To: 80}} },
	} {
		cfg := good
		change(&cfg)
		if _, err := StackPlan(homeState(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want %v", cfg, err, ErrConfig)
		}
	}
	s := homeState()
	s.Prefixes = []netip.Prefix{prefix("198.18.0.0/15")}
	if _, err := StackPlan(s, good); !errors.Is(err, ErrConfig) {
		t.Errorf("the pool in use: %v, want %v", err, ErrConfig)
	}
	cfg := good
	cfg.Prefix4 = prefix("172.20.5.0/24")
	if p, err := StackPlan(s, cfg); err != nil || p.Prefix4 != cfg.Prefix4 {
		t.Errorf("a prefix of one's own: %s, %v", p.Prefix4, err)
	}
}

func TestNthPrefix(t *testing.T) {
	for _, tt := range []struct {
		pool string
		bits int
		i    int
		want string
	}{
		{"198.18.0.0/15", 24, 0, "198.18.0.0/24"},
		{"198.18.0.0/15", 24, 255, "198.18.255.0/24"},
		{"198.18.0.0/15", 24, 256, "198.19.0.0/24"},
		{"198.18.0.0/15", 26, 3, "198.18.0.192/26"},
		{"198.18.0.0/15", 26, 4, "198.18.1.0/26"},
		{"fd62:7261:6964::/48", 64, 1, "fd62:7261:6964:1::/64"},
		{"fd62:7261:6964::/48", 64, 511, "fd62:7261:6964:1ff::/64"},
	} {
		if got := nthPrefix(prefix(tt.pool), tt.bits, tt.i); got.String() != tt.want {
			t.Errorf("nthPrefix(%s, %d, %d) = %s, want %s", tt.pool, tt.bits, tt.i, got, tt.want)
		}
	}
}

func TestKernelPlan(t *testing.T) {
	s := homeState()
	s.Endpoints = []kernel.Endpoint{
		{Addr: addr("2001:db8::5"), ID: 1, Flags: kernel.FlagSignal},
		{Addr: addr("192.168.1.5"), ID: 2, Flags: kernel.FlagImplicit},
	}
	p, err := KernelPlan(s, KernelConfig{Backup: []string{"wwan0"}})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, p.String(), `
		# 192.168.1.5 by way of eth0 (192.168.1.5)
		# 2001:db8::5 by way of eth0 (2001:db8::5)
		# 10.64.0.9 by way of wwan0 (10.64.0.9)
		ip rule add pref 5200 from 192.168.1.5 lookup 254 suppress_prefixlength 0 protocol 184
		ip route add 192.168.1.0/24 dev eth0 table 5201 proto 184
		ip route add default via 192.168.1.1 dev eth0 table 5201 proto 184
		ip route add unreachable default metric 1073741824 table 5201 proto 184
		ip rule add pref 5201 from 192.168.1.5 lookup 5201 protocol 184
		ip -6 rule add pref 5200 from 2001:db8::5 lookup 254 suppress_prefixlength 0 protocol 184
		ip -6 route add 2001:db8::/64 dev eth0 table 5201 proto 184
		ip -6 route add default via fe80::1 dev eth0 table 5201 proto 184
		ip -6 route add unreachable default metric 1073741824 table 5201 proto 184
		ip -6 rule add pref 5201 from 2001:db8::5 lookup 5201 protocol 184
		ip rule add pref 5200 from 10.64.0.9 lookup 254 suppress_prefixlength 0 protocol 184
		ip route add default dev wwan0 table 5202 proto 184
		ip route add unreachable default metric 1073741824 table 5202 proto 184
		ip rule add pref 5201 from 10.64.0.9 lookup 5202 protocol 184
		ip mptcp endpoint add 192.168.1.5 subflow dev eth0
		ip mptcp endpoint add 10.64.0.9 subflow backup dev wwan0
		ip mptcp limits set subflow 8 add_addr_accepted 8
	`)
	if _, err := KernelPlan(State{}, KernelConfig{}); !errors.Is(err, ErrNoUplink) {
		t.Errorf("no uplinks: %v, want %v", err, ErrNoUplink)
	}
}

// TestKernelPlanOfNoUse: where a program manages the kernel's paths, endpoints
// do nothing, and the plan says so.
func TestKernelPlanOfNoUse(t *testing.T) {
	for value, want := range map[string]int{"": 0, "0": 0, "1": 1} {
		s := homeState()
		s.Sysctls[managerType] = value
		p, err := KernelPlan(s, KernelConfig{})
		if err != nil || len(p.Warnings) != want {
			t.Errorf("%s=%q: got %q, %v; want %d warnings", managerType, value, p.Warnings, err, want)
		}
	}
}

func TestJournalRoundTrip(t *testing.T) {
	p, err := StackPlan(homeState(), StackConfig{Tag: "77", Dev: "braid0", Forwards: []PortForward{{Port: 443}}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := KernelPlan(homeState(), KernelConfig{})
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{Version: journalVersion, Tag: "77", PID: 5, Namespace: "4-1", Actions: append(p.Actions, k.Actions...)}
	b, err := j.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeJournal(b)
	if err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, j)
	}
	for _, bad := range []string{
		"", "{", `{"version":2,"tag":"a"}`, `{"version":1,"tag":"../x"}`, `{"version":1,"tag":"a","more":1}`,
	} {
		if _, err := decodeJournal([]byte(bad)); err == nil {
			t.Errorf("decoded %q", bad)
		}
	}
}

func TestMTUAndSelect(t *testing.T) {
	all := homeState().Uplinks
	if got := MTU(all); got != 1430 {
		t.Errorf("MTU %d, want 1430", got)
	}
	if got := MTU([]Uplink{{MTU: 9000}, {MTU: 576}}); got != 1500 {
		t.Errorf("MTU %d, want 1500", got)
	}
	if got := Select(all, []string{"wwan0"}); len(got) != 1 || got[0].Name != "wwan0" {
		t.Errorf("selected %v", got)
	}
	if got := Select(all, nil); len(got) != 2 {
		t.Errorf("selected %v", got)
	}
}
