package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// parseOK is Parse that must succeed.
func parseOK(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("braid.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return c
}

// printed gives what Print writes.
func printed(t *testing.T, c *Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := Print(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares without positions.
func same(a, b *Config) bool {
	x, y := *a, *b
	x.source, y.source = nil, nil
	return reflect.DeepEqual(x, y)
}

func TestDefaultRoundTrip(t *testing.T) {
	text := printed(t, Default())
	c := parseOK(t, text)
	if !same(c, Default()) {
		t.Errorf("the printed default means something else:\n%s", text)
	}
	if again := printed(t, c); again != text {
		t.Errorf("printed again it is\n%s\nand was\n%s", again, text)
	}
}

// TestLeastFile: next to nothing has to be said.
func TestLeastFile(t *testing.T) {
	c := parseOK(t, `
listeners: {name: web, address: "mptcp@:8080"}
routes: {name: all, pool: web}
pools: {web: {backends: 127.0.0.1:3000}}
`)
	if !same(c, Default()) {
		t.Errorf("got\n%s\nwant\n%s", printed(t, c), printed(t, Default()))
	}
}

func TestFullFile(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parseOK(t, string(text))
	out := printed(t, c)
	if !same(parseOK(t, out), c) {
		t.Errorf("printed it means something else:\n%s", out)
	}
	wantAllSet(t, []reflect.Value{reflect.ValueOf(c).Elem()}, "")

	// Some of it, as its user sees it.
	web := c.Pools["web"]
	if got, want := web.Backends[1].Address, (Address{Network: NetworkMPTCP, Host: "web2.example.org", Port: 8080}); got != want {
		t.Errorf("address: got %+v, want %+v", got, want)
	}
	if got := c.OneConnect["f5"]; got.SourceMask != 24 || got.IdleTimeoutOverride != IdleIndefinite {
		t.Errorf("OneConnect profile: %+v", got)
	}
	if got := web.ConnectTimeout.D(); got != 1500*time.Millisecond {
		t.Errorf("connect_timeout: %v", got)
	}
	if got, want := string(c.Listeners[0].TLS.Certificates[0].Key), "site.key"; got != want {
		t.Errorf("key: got %s, want %s", got, want)
	}
	if c.OneConnect["default"] == nil || c.TCPProfiles["default"] == nil {
		t.Error("the default profiles are missing")
	}
}

// wantAllSet checks that each field of a struct differs from its default in one
// at least of the values, and so on below: so the file holds every key, and
// decoding loses none.
func wantAllSet(t *testing.T, values []reflect.Value, path string) {
	t.Helper()
	def := reflect.New(values[0].Type()).Elem()
	prepare(def)
	for _, i := range fieldsOf(def.Type()) {
		at := join(path, def.Type().Field(i).Tag.Get("yaml"))
		set := false
		var below []reflect.Value
		for _, v := range values {
			set = set || !reflect.DeepEqual(v.Field(i).Interface(), def.Field(i).Interface())
			below = append(below, structsIn(v.Field(i))...)
		}
		if !set {
			t.Errorf("%s is as by default", at)
		}
		if len(below) > 0 {
			wantAllSet(t, below, at)
		}
	}
}

// structsIn gives the structs a field holds: itself, or its elements.
func structsIn(v reflect.Value) []reflect.Value {
	var found []reflect.Value
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			found = structsIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, structsIn(v.Index(i))...)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			found = append(found, structsIn(v.MapIndex(k))...)
		}
	case reflect.Struct:
		if !isText(v) {
			found = append(found, v)
		}
	}
	return found
}

// good is a file without mistakes, for others to spoil.
const good = `listeners:
  - name: web
    address: mptcp@:8080
    pool: web
pools:
  web:
    backends: [127.0.0.1:3000]
`

// TestMistakes shows what each mistake is told as.
func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		name string
		text string // %G stands for good
		want string // messages without "braid.yaml:", one a line
	}{
		{"unknown key", "%Gtimeout: {}\n", `8:1: unknown key "timeout"; did you mean "timeouts"?`},
		{"unknown key below", "%Gtimeouts:\n  conect: 5s\n", `9:3: timeouts: unknown key "conect"; there are drain, keep_alive, proxy_header, request, request_body, request_header, response_body, response_header, tls_handshake, tunnel, write`},
		{"unknown key in a list", "%Groutes:\n  - pool: web\n    mach: {}\n", `10:5: routes[0]: unknown key "mach"; did you mean "match"?`},
		{"unknown key in a name", "%Goneconnect:\n  x:\n    sourceMask: 3\n", `10:5: oneconnect.x: unknown key "sourceMask"; did you mean "source_mask"?`},
		{"swapped letters", "%Gadmin: {adderss: ':1'}\n", `8:9: admin: unknown key "adderss"; did you mean "address"?`},
		{"after wide letters", "%Gadmin: {\"ää\": 1, pporf: true}\n", `8:9: admin: unknown key "ää"; there are address, pprof
8:18: admin: unknown key "pporf"; did you mean "pprof"?`},
		{"twice", "%Gpools: {}\n", `8:1: "pools" is here twice, first in line 5`},
		{"not a key", "%G? [a, b]\n: 1\n", `8:3: a key has to be a word`},
		{"merge key", "%Gadmin:\n  <<: {pprof: true}\n", `9:3: admin: merge keys are not supported; refer to a whole value by an alias`},

		{"not a time", "%Gtimeouts: {drain: soon}\n", `8:19: timeouts.drain: "soon" is not a time such as 30s, 1m30s or 7d`},
		{"without unit", "%Gtimeouts: {drain: 30}\n", `8:19: timeouts.drain: "30" needs a unit, such as 30s or 30ms`},
		{"not a size", "%Glimits: {body_size: 10 apples}\n", `8:21: limits.body_size: "10 apples" is not a size such as 512, 64KiB or 10MB`},
		{"not a number", "%Glimits: {connections: many}\n", `8:23: limits.connections: "many" is not a whole number`},
		{"octal", "%Glimits: {connections: 010}\n", `8:23: limits.connections: "010" is not a whole number`},
		{"negative", "%Glimits: {connections: -1}\n", `8:23: limits.connections: must not be negative`},
		{"not a truth", "%Gwell_known: yes\n", `8:13: well_known: "yes" is neither true nor false`},
		{"not a word", "%Gnetwork: {stack: kernal}\n", `8:18: network.stack: "kernal" is not a value; did you mean "kernel"?`},
		{"far from any word", "%Gnetwork: {stack: elephant}\n", `8:18: network.stack: "elephant" is not a value; there are auto, kernel, plain, user`},
		{"list for a value", "%Gwell_known: [true]\n", `8:13: well_known: wants one value, but has a list`},
		{"value for keys", "%Gadmin: 127.0.0.1:9000\n", `8:8: admin: wants keys with values: address, pprof, but has the value "127.0.0.1:9000"`},
		{"list for names", "%Gtcp_profiles: [a]\n", `8:15: tcp_profiles: wants names with values, but has a list`},
		{"keys for a value", "%Glog: {output: {a: b}}\n", `8:15: log.output: wants one value, but has keys with values`},
		{"nothing", "%Gadmin:\n", `8:7: admin: is empty; leave the key out for the default`},
		{"nothing in a list", "%Groutes:\n  -\n", `9:4: routes[0]: is empty; leave the key out for the default`},
		{"nothing under a name", "%Gtcp_profiles:\n  a:\n", `9:5: tcp_profiles.a: is empty; leave the key out for the default`},

		{"syntax", "%Gadmin: {\n", `9:1: did not find expected node content`},
		{"tab", "listeners:\n\t- a\n", `2:1: indented by a tab; YAML wants spaces`},
		{"unknown anchor", "%Gadmin: *x\n", `8:8: unknown anchor 'x' referenced`},
		{"several documents", "%G---\na: 1\n", `the file holds several documents, apart by ---; one is wanted`},
		{"no file", "", `the file is empty`},
		{"a list", "[]", `1:1: wants keys with values: network, listeners, routes, pools, tcp_profiles, oneconnect, timeouts, limits, forwarded, log, admin, metrics, well_known, but has a list
1:1: listeners: there has to be one at least`},
		{"endless alias", "%Gnetwork: &n\n  endpoints: *n\n", `8:10: network.endpoints[0]: wants one value, but has keys with values`},

		{"no listener", "pools: {}\n", `1:1: listeners: there has to be one at least`},
		{"no address", "listeners: [{pool: web}]\npools: {web: {backends: 'a:1'}}\n", `1:13: listeners[0]: has no address`},
		{"bad address once", "listeners: [{pool: web, address: x}]\npools: {web: {backends: 'a:1'}}\n", `1:34: listeners[0].address[0]: "x": want host:port, such as 192.0.2.1:80, [2001:db8::1]:80 or :80`},
		{"same address", "listeners: [{pool: web, address: ':1', name: a}, {pool: web, address: 'tcp@:1', name: b}]\npools: {web: {backends: 'a:1'}}\n", `1:71: listeners[1].address[0]: tcp@:1 is taken by listeners[0].address[0]`},
		{"same name", "listeners: [{pool: web, address: ':1', name: a}, {pool: web, address: ':2', name: a}]\npools: {web: {backends: 'a:1'}}\n", `1:83: listeners[1].name: listeners[0] has the same name "a"`},
		{"unknown pool", "listeners: [{pool: wbe, address: ':1'}]\npools: {web: {backends: 'a:1'}}\n", `1:20: listeners[0].pool: there is no pool "wbe"; did you mean "web"?`},
		{"unknown pool without any", "listeners: [{pool: wbe, address: ':1'}]\n", `1:20: listeners[0].pool: there is no pool "wbe"; there is none`},
		{"no route", "listeners: [{address: ':1'}]\npools: {web: {backends: 'a:1'}}\n", `1:13: listeners[0]: no route takes what comes here, and it has no pool`},
		{"unknown profiles", "%Groutes: {pool: web}\ntcp_profiles: {fast: {}}\n", ""},
		{"several mistakes", "%Gtimeouts: {drain: x}\nlimits: {header_size: 1, connections: x}\nadmin: {a: 1}\n", `8:19: timeouts.drain: "x" is not a time such as 30s, 1m30s or 7d
9:9: limits.target_size: is larger than header_size, of which it is a part
9:23: limits.header_size: must be at least 1KiB
9:39: limits.connections: "x" is not a whole number
10:9: admin: unknown key "a"; there are address, pprof`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("braid.yaml", []byte(strings.ReplaceAll(test.text, "%G", good)))
			got := ""
			if err != nil {
				got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), "braid.yaml:", ""), "\n ", "\n")
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("%v is no ErrInvalid", err)
				}
			}
			if strings.TrimSpace(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestPoolMistakes spoils a pool: each line is put into it.
func TestPoolMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"tcp: fats":                            `pools.web.tcp: there is no TCP profile "fats"; did you mean "fast"?`,
		"oneconnect: f6":                       `pools.web.oneconnect: there is no OneConnect profile "f6"; did you mean "f5"?`,
		"file: x":                              `pools.web: has several of backends, file and dns`,
		"send_proxy: any":                      `pools.web.send_proxy: is off, v1 or v2`,
		"table_size: 1000":                     `pools.web.table_size: is not a prime of 3 to 16777216`,
		"max_pending: 10":                      `pools.web.max_pending: is of no use without max_connections`,
		"connect_timeout: 0":                   `pools.web.connect_timeout: must not be 0`,
		"hash: header":                         `pools.web.hash: "header" needs a name, such as header:x-user`,
		"hash: client:x":                       `pools.web.hash: "client" takes no name`,
		"hash: clinet":                         `pools.web.hash: "clinet" is not what can be hashed; did you mean "client"?`,
		"affinity: {same_site: none}":          `pools.web.affinity.same_site: none needs secure: true, or browsers drop the cookie`,
		"affinity: {cookie: 'a b'}":            `pools.web.affinity.cookie: "a b" is not the name of a cookie`,
		"affinity: {path: 'x'}":                `pools.web.affinity.path: "x" is not a path`,
		"tls: {server_name: 'a b'}":            `pools.web.tls.server_name: "a b" is not the name of a host`,
		"tls: {certificate: {key: x}}":         `pools.web.tls.certificate: needs cert`,
		"tls: {min_version: 1.1}":              `pools.web.tls.min_version: "1.1" is not a value; did you mean "1.2"?`,
		"check: {path: health}":                `pools.web.check.path: "health" is not a path`,
		"check: {status: []}":                  `pools.web.check.status: wants one status code at least`,
		"check: {status: 2xx}":                 `pools.web.check.status[0]: "2xx" is not a status code such as 204 or a range such as 200-399`,
		"check: {method: 'GE T'}":              `pools.web.check.method: "GE T" is not a method`,
		"check: {fall: 0}":                     `pools.web.check.fall: must be at least 1`,
		"check: {interval: 1ms}":               `pools.web.check.interval: must be at least 100ms`,
		"check: {port: 70000}":                 `pools.web.check.port: is not in 1 to 65535`,
		"ejection: {max_share: 150%}":          `pools.web.ejection.max_share: "150%" is not a part such as 20% or 0.2`,
		"ejection: {max_share: 0}":             `pools.web.ejection.max_share: must not be 0; leave ejection out to have none`,
		"ejection: {time: 10m}":                `pools.web.ejection.max_time: is less than time, 10m`,
		"retry: {ratio: NaN}":                  `pools.web.retry.ratio: "NaN" is not a part such as 20% or 0.2`,
		"retry: {attempts: 1.5}":               `pools.web.retry.attempts: "1.5" is not a whole number`,
		"max_connections: 0x10":                `pools.web.max_connections: "0x10" is not a whole number`,
		"check: {type: https}":                 `pools.web.check.type: "https" is not a value; did you mean "http"?`,
		"policy: roundrobin":                   `pools.web.policy: "roundrobin" is not a value; did you mean "round_robin"?`,
		"check: {host: 'a/b'}":                 `pools.web.check.host: "a/b" is not the name of a host`,
		"dns: {name: x, port: 1}":              `pools.web: has several of backends, file and dns`,
		"queue_timeout: 0\n    max_pending: 1": `pools.web.queue_timeout: must not be 0, or nobody would wait`,
	} {
		text := good + "    " + line + "\ntcp_profiles: {fast: {}}\noneconnect: {f5: {}}\n"
		_, err := Parse("braid.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}

// TestOtherMistakes are whole sections behind the good file.
func TestOtherMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"routes: {match: {}}":                                    `routes[0]: needs pool, redirect or respond`,
		"routes: {pool: web, respond: {}}":                       `routes[0]: has several of pool, redirect and respond`,
		"routes: {pool: wed}":                                    `routes[0].pool: there is no pool "wed"; did you mean "web"?`,
		"routes: {pool: web, match: {listener: wbe}}":            `routes[0].match.listener[0]: there is no listener "wbe"; did you mean "web"?`,
		"routes: {pool: web, match: {host: '*example.org'}}":     `"*example.org" is neither a host nor a pattern`,
		"routes: {pool: web, match: {path: api}}":                `routes[0].match.path[0]: "api" does not begin with /`,
		"routes: {pool: web, match: {path: '/a*'}}":              `"/a*": * may stand only at the end, after /`,
		"routes: {pool: web, match: {method: get}}":              `"get" is not a method; they are written like GET`,
		"routes: {pool: web, match: {header: {'a b': x}}}":       `"a b" is not the name of a header field`,
		"routes: {pool: web, match: {client: 10.0.0.1/8}}":       `"10.0.0.1/8" has bits beyond its length; 10.0.0.0/8 would be the network`,
		"routes: {pool: web, request: {set: {x: \"a\\nb\"}}}":    `routes[0].request.set.x: "a\nb" cannot be the value of a header field`,
		"routes: {pool: web, request: {add: {'x:': a}}}":         `"x:" is not the name of a header field`,
		"routes: {pool: web, request: {remove: content-length}}": `routes[0].request.remove[0]: the proxy itself takes care of Content-Length`,
		"routes: {pool: web, response: {set: {upgrade: x}}}":     `the proxy itself takes care of Upgrade`,
		"routes: {redirect: {to: /x, status: 200}}":              `is none of 301, 302, 303, 307, 308`,
		"routes: {redirect: {}}":                                 `routes[0].redirect: needs to, the URL to go to`,
		"routes: {respond: {status: 99}}":                        `is not in 200 to 599`,
		"routes: {pool: web, strip_prefix: api}":                 `routes[0].strip_prefix: has to begin with /`,
		"routes: {pool: web, host: 'a b'}":                       `"a b" is not the name of a host`,
		"oneconnect: {x: {source_mask: 33}}":                     `oneconnect.x.source_mask: "33" is not a mask such as 24 or 255.255.255.0`,
		"oneconnect: {x: {source_mask: 255.0.255.0}}":            `"255.0.255.0" is not a mask`,
		"oneconnect: {x: {source_mask6: 129}}":                   `oneconnect.x.source_mask6: must be at most 128`,
		"oneconnect: {x: {limit_type: strickt}}":                 `did you mean "strict"?`,
		"oneconnect: {x: {idle_timeout_override: never}}":        `"never" is neither disabled, indefinite, nor a time such as 30s`,
		"tcp_profiles: {x: {receive_buffer: 1}}":                 `tcp_profiles.x.receive_buffer: must be at least 4KiB`,
		"tcp_profiles: {x: {send_buffer: 2GiB}}":                 `must be at most 1GiB`,
		"tcp_profiles: {x: {keepalive_count: 0}}":                `keepalive_count: must be at least 1`,
		"tcp_profiles: {x: {scheduler: round-robbin}}":           `braid.yaml:8:31: tcp_profiles.x.scheduler: "round-robbin" is not a value; did you mean "roundrobin"?`,
		"tcp_profiles: {x: {scheduler: fancy}}":                  `"fancy" is not a value; there are default, redundant, roundrobin`,
		"tcp_profiles: {x: {max_subflows: 300}}":                 `must be at most 255`,
		"admin: {address: 'mptcp@:9000'}":                        `admin.address: is for plain TCP; write "tcp@:9000"`,
		"metrics: {path: m}":                                     `metrics.path: has to begin with /`,
		`metrics: {path: "/{a"}`:                                 `metrics.path: "/{a" is not a plain path of letters, digits and -._~/`,
		"log: {output: ''}":                                      `log.output: wants stderr, stdout or a file`,
		"forwarded: {via: 'a b'}":                                `"a b" is not a name that may stand in Via`,
		"network: {interfaces: an-interface-with-a-long-name}":   `is not the name of an interface`,
		"limits: {header_size: 2MiB}":                            `must be at most 1MiB`,
		"limits: {http2_streams: 0}":                             `limits.http2_streams: must be at least 1`,
	} {
		_, err := Parse("braid.yaml", []byte(good+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestListenerMistakes spoils the listener.
func TestListenerMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"tls: {}":                       `listeners[0].tls: needs certificates, or acme to get them`,
		"tls: {certificates: {key: x}}": `listeners[0].tls.certificates[0]: needs cert`,
		"tls: {certificates: {cert: x}, client_auth: require}":                   `client_auth: needs client_ca`,
		"tls: {certificates: {cert: x}, client_ca: x}":                           `client_ca: is of no use`,
		"tls: {certificates: {cert: x}, alpn: ['']}":                             `alpn[0]: has to have 1 to 255 bytes`,
		"tls: {acme: {accept_terms: true}}":                                      `acme: needs domains`,
		"tls: {acme: {domains: a.example.org}}":                                  `acme: needs accept_terms: true`,
		"tls: {acme: {domains: web, accept_terms: true}}":                        `"web" is not the full name of a host`,
		"tls: {acme: {domains: a.b, accept_terms: true, directory: 'http://x'}}": `"http://x" is not an https URL`,
		"tls: {acme: {domains: a.b, accept_terms: true, email: x}}":              `"x" is not an address`,
		"mode: tcp\n    tls: {acme: {domains: a.b, accept_terms: true}}":         `needs mode http`,
		"accept_proxy: {}": `needs from`,
		"accept_proxy: {from: 10.0.0.1, version: off}": `leave accept_proxy out`,
		"accept_proxy: {from: 10.0.0.300}":             `"10.0.0.300" is not a network such as 10.0.0.0/8`,
		"tcp: fast":                                    `there is no TCP profile "fast"; there are default`,
		"mode: udp":                                    `"udp" is not a value; `,
		"mode: tcp\nroutes: {match: {listener: web, path: /}, pool: web}": `routes[0].match.path: there are no requests on listener "web", whose mode is tcp`,
	} {
		_, err := Parse("braid.yaml", []byte(strings.Replace(good, "    pool: web\n", "    pool: web\n    "+text+"\n", 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestAliases(t *testing.T) {
	c := parseOK(t, `
listeners: {address: ":80", pool: a}
pools:
  a: {backends: &servers ["10.0.0.1:80", "10.0.0.2:80"], check: &check {type: http, path: /up}}
  b: {backends: *servers, check: *check}
`)
	if !reflect.DeepEqual(c.Pools["a"], c.Pools["b"]) {
		t.Errorf("%+v and %+v", c.Pools["a"], c.Pools["b"])
	}
	if c.Pools["a"].Check == c.Pools["b"].Check {
		t.Error("two pools have one check")
	}
}

// TestAliasBomb is a small file that would be a large one.
func TestAliasBomb(t *testing.T) {
	bomb := good + "routes:\n  - {pool: web, match: {host: &h [" + strings.Repeat("a,", 2000) + "b]}}\n" +
		strings.Repeat("  - {pool: web, match: {host: *h}}\n", 2000)
	_, err := Parse("braid.yaml", []byte(bomb))
	errs, ok := err.(Errors)
	if !ok || !strings.Contains(err.Error(), "the file becomes too large") {
		t.Errorf("got %v", err)
	}
	if len(errs) != 1 {
		t.Errorf("%d mistakes are told, want 1", len(errs))
	}
}

// TestEmptied: an empty value where another is the default stays empty.
func TestEmptied(t *testing.T) {
	c := parseOK(t, good+`    ejection: {status: []}
routes: {respond: {content_type: ""}}
`)
	again := parseOK(t, printed(t, c))
	if !same(c, again) || len(again.Pools["web"].Ejection.Status) != 0 || again.Routes[0].Respond.ContentType != "" {
		t.Errorf("printed it means something else:\n%s", printed(t, c))
	}
}

// TestAnyPort may be said twice.
func TestAnyPort(t *testing.T) {
	parseOK(t, "listeners: [{pool: web, address: ':0', name: a}, {pool: web, address: ':0', name: b}]\npools: {web: {backends: 'a:1'}}\n")
}

// TestFramingFields: none of the fields on which framing hangs may be edited.
func TestFramingFields(t *testing.T) {
	for _, name := range []string{"Connection", "content-length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "UPGRADE"} {
		for _, edit := range []string{"set: {" + name + ": x}", "add: {" + name + ": x}", "remove: " + name} {
			if _, err := Parse("braid.yaml", []byte(good+"routes: {pool: web, request: {"+edit+"}}\n")); err == nil ||
				!strings.Contains(err.Error(), "the proxy itself takes care of ") {
				t.Errorf("%s: got %v", edit, err)
			}
		}
	}
}

func TestAt(t *testing.T) {
	c := parseOK(t, good)
	for path, want := range map[string]string{
		"pools.web.backends[0]":         "braid.yaml:7:16",
		"pools.web.backends[0].address": "braid.yaml:7:16",
		"pools.web.backends[0].weight":  "braid.yaml:7:16",
		"pools.web.policy":              "braid.yaml:7:5",
		"listeners[0].address[0]":       "braid.yaml:3:14",
		"timeouts.drain":                "braid.yaml:1:1",
		"nonsense":                      "braid.yaml:1:1",
	} {
		if got := c.At(path).String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := Default().At("pools"); got != (Position{}) {
		t.Errorf("a Config from no file: got %v", got)
	}
}

// TestFileNames count from the file's directory, those that are defaults too.
func TestFileNames(t *testing.T) {
	text := good[:len("listeners:\n")] + `  - address: ":443"
    pool: web
    tls: {certificates: {cert: a.pem, key: /b.pem}, acme: {domains: a.example.org, accept_terms: true%s}}
` + good[strings.Index(good, "pools:"):]
	for given, want := range map[string]string{"": "etc/acme", ", cache: x": "etc/x", ", cache: /x": "/x"} {
		c, err := Parse("etc/braid.yaml", []byte(strings.Replace(text, "%s", given, 1)))
		if err != nil {
			t.Fatal(err)
		}
		tls := c.Listeners[0].TLS
		if tls.ACME.Cache != File(want) || tls.Certificates[0] != (Certificate{"etc/a.pem", "/b.pem"}) {
			t.Errorf("%q: got %s, %v; want %s", given, tls.ACME.Cache, tls.Certificates[0], want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "braid.yaml")
	if _, err := Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	text := strings.Replace(good, "    backends: [127.0.0.1:3000]", "    file: backends.txt", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	if want := file + ":7:11: pools.web.file: " + filepath.Join(dir, "backends.txt") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "backends.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(c.Pools["web"].File.Path), filepath.Join(dir, "backends.txt"); got != want {
		t.Errorf("path: got %s, want %s", got, want)
	}
	if err := os.Truncate(file, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "larger than 16MiB") {
		t.Errorf("a huge file: got %v", err)
	}
}
