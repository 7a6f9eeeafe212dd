package proxy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// match is a condition of the configuration, made ready. Of each list one has to
// fit; an empty one always does.
type match struct {
	hosts   []string // in lower case; "*.example.org" for all below
	sni     []string // likewise
	paths   []string // "/a" for itself, "/a/*" for all below
	methods []string
	connect bool // CONNECT is among them
	headers []headerMatch
	clients []netip.Prefix
}

// headerMatch wants a field with a value that fits.
type headerMatch struct {
	name  string // in lower case
	value string // with '*' for any text
}

func newMatch(c *config.Match) match {
	m := match{
		hosts: lower(c.Host), sni: lower(c.SNI), paths: c.Path, methods: c.Method,
		connect: slices.Contains(c.Method, "CONNECT"),
	}
	for name, value := range c.Header {
		m.headers = append(m.headers, headerMatch{strings.ToLower(name), value})
	}
	for _, p := range c.Client {
		m.clients = append(m.clients, p.Prefix)
	}
	return m
}

func lower(names []string) []string {
	var all []string
	for _, s := range names {
		all = append(all, strings.TrimSuffix(strings.ToLower(s), "."))
	}
	return all
}

// request is what routes look at, besides the host. It lives on the stack of one
// call.
type request struct {
	x       *http1.Exchange
	conn    *clientConn
	rawPath []byte // as it came, without the query
	path    []byte // in its normal form
}

// newRequest finds the parts.
func newRequest(x *http1.Exchange, c *clientConn) request {
	full := x.Request.Path()
	raw := full
	for i, c := range full {
		if c == '?' {
			raw = full[:i]
			break
		}
	}
	return request{x: x, conn: c, rawPath: raw, path: normalPath(raw)}
}

// appendHost appends the host of an authority in lower case, without port and
// without the dot at its end.
func appendHost(dst, authority []byte) []byte {
	host := authority
	if i := lastByte(host, ':'); i >= 0 && lastByte(host, ']') < i {
		host = host[:i]
	}
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	for _, c := range host {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func lastByte(s []byte, c byte) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == c {
			return i
		}
	}
	return -1
}

// takesHost says whether the conditions on the host let it through, which may be
// a wildcard: then all hosts below it have to be let through.
func (m *match) takesHost(host string) bool { return len(m.hosts) == 0 || fitsAny(m.hosts, host) }

// fitsAny says whether a name is one of patterns.
func fitsAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if p == name || p[0] == '*' && len(name) >= len(p) && strings.HasSuffix(name, p[1:]) {
			return true
		}
	}
	return false
}

// takes says whether the conditions besides that on the host let a request
// through. CONNECT opens a tunnel past all rules, so it has to be asked for.
func (m *match) takes(r *request) bool {
	req := r.x.Request
	if req.Method == http1.CONNECT && !m.connect {
		return false
	}
	return m.takesMethod(req) && m.takesPath(r.path) && m.takesHeaders(req) && m.takesSNI(r.conn) && m.takesClient(r.x.Client.Addr())
}

func (m *match) takesMethod(req *http1.Request) bool {
	if len(m.methods) == 0 {
		return true
	}
	name := req.MethodName()
	for _, want := range m.methods {
		if string(name) == want {
			return true
		}
	}
	return false
}

func (m *match) takesPath(path []byte) bool {
	if len(m.paths) == 0 {
		return true
	}
	for _, p := range m.paths {
		n := len(p) - 1
		if p[n] == '*' {
			if len(path) >= n && string(path[:n]) == p[:n] {
				return true
			}
		} else if string(path) == p {
			return true
		}
	}
	return false
}

func (m *match) takesHeaders(req *http1.Request) bool {
	for i := range m.headers {
		if !m.headers[i].takes(req) {
			return false
		}
	}
	return true
}

// takes looks at all fields of that name.
func (h *headerMatch) takes(req *http1.Request) bool {
	for i := range req.Len() {
		name, value := req.Field(i)
		if equalFold(name, h.name) && glob(h.value, value) {
			return true
		}
	}
	return false
}

func (m *match) takesSNI(c *clientConn) bool {
	if len(m.sni) == 0 {
		return true
	}
	facts := c.tls.Load()
	return facts != nil && fitsAny(m.sni, facts.serverName)
}

func (m *match) takesClient(client netip.Addr) bool {
	return len(m.clients) == 0 || containsAddr(m.clients, client)
}

func containsAddr(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// equalFold compares with a name in lower case.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// glob matches s with a pattern in which each '*' stands for any text.
func glob(pattern string, s []byte) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if len(s) < len(head) || string(s[:len(head)]) != head {
		return false
	}
	s = s[len(head):]
	if !starred {
		return len(s) == 0
	}
	// The parts between are taken where they are first found; the last has to
	// be at the end.
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return len(s) >= len(part) && string(s[len(s)-len(part):]) == part
		}
		i := indexString(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], after
	}
}

func indexString(s []byte, part string) int {
	for i := 0; i+len(part) <= len(s); i++ {
		if string(s[i:i+len(part)]) == part {
			return i
		}
	}
	return -1
}
