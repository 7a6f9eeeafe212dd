package config

import (
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (v *validator) pool(p *Pool, path string) {
	v.backends(p, path)
	refer(v, path+".tcp", "TCP profile", p.TCP, v.cfg.TCPProfiles)
	refer(v, path+".oneconnect", "OneConnect profile", p.OneConnect, v.cfg.OneConnect)
	if p.SendProxy == ProxyAny {
		v.errorf(path+".send_proxy", "is off, v1 or v2")
	}
	if p.TableSize < 3 || p.TableSize > 1<<24 || !big.NewInt(int64(p.TableSize)).ProbablyPrime(0) {
		v.errorf(path+".table_size", "is not a prime of 3 to %d", 1<<24)
	}
	if p.MaxPending > 0 {
		if p.QueueTimeout == 0 {
			v.errorf(path+".queue_timeout", "must not be 0, or nobody would wait")
		}
		if p.MaxConnections == 0 && !slices.ContainsFunc(p.Backends, func(b Backend) bool { return b.MaxConnections > 0 }) && p.File == nil {
			v.errorf(path+".max_pending", "is of no use without max_connections")
		}
	}
	if p.ConnectTimeout == 0 {
		v.errorf(path+".connect_timeout", "must not be 0")
	}
	if a := p.Affinity; a != nil {
		v.affinity(a, path+".affinity")
	}
	if t := p.TLS; t != nil {
		if t.ServerName != "" && !isHostName(t.ServerName) {
			v.errorf(path+".tls.server_name", "%s is not the name of a host", quote(t.ServerName))
		}
		if t.Certificate != nil && t.Certificate.Cert == "" {
			v.errorf(path+".tls.certificate", "needs cert")
		}
	}
	if p.Check != nil {
		v.check(p.Check, path+".check")
	}
	if e := p.Ejection; e != nil {
		atLeast(v, path+".ejection.failures", e.Failures, 1)
		if e.Time == 0 {
			v.errorf(path+".ejection.time", "must not be 0")
		}
		if e.MaxTime < e.Time {
			v.errorf(path+".ejection.max_time", "is less than time, %v", e.Time)
		}
		if e.MaxShare == 0 {
			v.errorf(path+".ejection.max_share", "must not be 0; leave ejection out to have none")
		}
	}
}

func (v *validator) backends(p *Pool, path string) {
	sources := 0
	for _, given := range []bool{len(p.Backends) > 0, p.File != nil, p.DNS != nil} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0:
		v.errorf(path, "needs backends, file or dns")
	case sources > 1:
		v.errorf(path, "has several of backends, file and dns")
	}
	names := make(map[string]int)
	for i, b := range p.Backends {
		at := index(path+".backends", i)
		if j, twice := names[b.Name]; twice {
			v.errorf(at, "backends[%d] has the same name %s", j, quote(b.Name))
		}
		names[b.Name] = i
		v.backend(b, at)
	}
	if f := p.File; f != nil {
		if f.Path == "" {
			v.errorf(path+".file", "needs path")
		}
		atLeast(v, path+".file.interval", f.Interval, second/10)
	}
	if d := p.DNS; d != nil {
		v.dns(d, path+".dns")
	}
}

func (v *validator) backend(b Backend, path string) {
	switch a := b.Address; {
	case a == Address{}:
		v.errorf(path, "needs address")
	case a.Network == NetworkFD:
		v.errorf(path+".address", "one cannot connect to a socket that was passed")
	case a.Network != NetworkUnix && a.Host == "":
		v.errorf(path+".address", "%s names no host", quote(a.String()))
	case a.Network != NetworkUnix && a.Port == 0:
		v.errorf(path+".address", "%s has no port", quote(a.String()))
	}
	if b.Weight < 1 || b.Weight > 65535 {
		v.errorf(path+".weight", "is not in 1 to 65535; drain: true takes a server out")
	}
	if b.Priority > 65535 {
		v.errorf(path+".priority", "is not in 0 to 65535")
	}
	if strings.ContainsAny(b.Name, " \t\n\"") {
		v.errorf(path+".name", "%s has blanks or quotes in it", quote(b.Name))
	}
}

func (v *validator) dns(d *BackendDNS, path string) {
	if !isHostName(d.Name) {
		v.errorf(path, "needs name, the name to resolve")
	}
	switch {
	case d.SRV && d.Port != 0:
		v.errorf(path+".port", "is of no use with srv, whose records have ports")
	case !d.SRV && (d.Port < 1 || d.Port > 65535):
		v.errorf(path, "needs port, 1 to 65535")
	}
	atLeast(v, path+".interval", d.Interval, second)
}

func (v *validator) affinity(a *Affinity, path string) {
	if !isToken(a.Cookie) {
		v.errorf(path+".cookie", "%s is not the name of a cookie", quote(a.Cookie))
	}
	if !strings.HasPrefix(a.Path, "/") || strings.ContainsAny(a.Path, ";\x7f") || !isFieldValue(a.Path) {
		v.errorf(path+".path", "%s is not a path", quote(a.Path))
	}
	if a.SameSite == "none" && !a.Secure {
		v.errorf(path+".same_site", "none needs secure: true, or browsers drop the cookie")
	}
}

func (v *validator) check(c *Check, path string) {
	atLeast(v, path+".interval", c.Interval, second/10)
	if c.Timeout == 0 {
		v.errorf(path+".timeout", "must not be 0")
	}
	atLeast(v, path+".rise", c.Rise, 1)
	atLeast(v, path+".fall", c.Fall, 1)
	if c.Port > 65535 {
		v.errorf(path+".port", "is not in 1 to 65535")
	}
	if !isToken(c.Method) {
		v.errorf(path+".method", "%s is not a method", quote(c.Method))
	}
	if u, err := url.Parse("http://backend" + c.Path); err != nil || !strings.HasPrefix(c.Path, "/") || u.Host != "backend" {
		v.errorf(path+".path", "%s is not a path", quote(c.Path))
	}
	if host, _, err := net.SplitHostPort(c.Host); c.Host != "" && !isHostName(c.Host) && (err != nil || !isHostName(host)) {
		v.errorf(path+".host", "%s is not the name of a host", quote(c.Host))
	}
	v.statuses(path+".status", c.Status)
}

func (v *validator) route(r *Route, path string) {
	actions := 0
	for _, given := range []bool{r.Pool != "", r.Redirect != nil, r.Respond != nil} {
		if given {
			actions++
		}
	}
	switch {
	case actions == 0:
		v.errorf(path, "needs pool, redirect or respond")
	case actions > 1:
		v.errorf(path, "has several of pool, redirect and respond")
	}
	if r.Pool != "" {
		refer(v, path+".pool", "pool", r.Pool, v.cfg.Pools)
	}
	v.match(&r.Match, path+".match")
	if r.StripPrefix != "" && !strings.HasPrefix(r.StripPrefix, "/") {
		v.errorf(path+".strip_prefix", "has to begin with /")
	}
	if host, _, err := net.SplitHostPort(r.Host); r.Host != "" && !isHostName(r.Host) && (err != nil || !isHostName(host)) {
		v.errorf(path+".host", "%s is not the name of a host", quote(r.Host))
	}
	v.headerEdit(&r.Request, path+".request")
	v.headerEdit(&r.Response, path+".response")
	if d := r.Redirect; d != nil {
		if d.To == "" || !isFieldValue(d.To) {
			v.errorf(path+".redirect", "needs to, the URL to go to")
		}
		if !slices.Contains([]int{301, 302, 303, 307, 308}, d.Status) {
			v.errorf(path+".redirect.status", "is none of 301, 302, 303, 307, 308")
		}
	}
	if d := r.Respond; d != nil {
		if d.Status < 200 || d.Status > 599 {
			v.errorf(path+".respond.status", "is not in 200 to 599")
		}
		if !isFieldValue(d.ContentType) {
			v.errorf(path+".respond.content_type", "%s cannot be the value of a header field", quote(d.ContentType))
		}
	}
}

func (v *validator) match(m *Match, path string) {
	names := make(map[string]*Listener)
	for _, l := range v.cfg.Listeners {
		names[l.Name] = l
	}
	for i, name := range m.Listener {
		refer(v, index(path+".listener", i), "listener", name, names)
		if l := names[name]; l != nil && l.Mode == ModeTCP {
			v.tcpMatch(m, path, name)
		}
	}
	for key, list := range map[string][]string{"host": m.Host, "sni": m.SNI} {
		for i, host := range list {
			if !isHostName(strings.TrimPrefix(host, "*.")) {
				v.errorf(index(path+"."+key, i), "%s is neither a host nor a pattern such as *.example.org", quote(host))
			}
		}
	}
	for i, p := range m.Path {
		at := index(path+".path", i)
		if !strings.HasPrefix(p, "/") {
			v.errorf(at, "%s does not begin with /", quote(p))
		} else if j := strings.IndexByte(p, '*'); j >= 0 && (j != len(p)-1 || p[j-1] != '/') {
			v.errorf(at, "%s: * may stand only at the end, after /", quote(p))
		}
	}
	for i, method := range m.Method {
		if !isToken(method) || method != strings.ToUpper(method) && slices.Contains(knownMethods, strings.ToUpper(method)) {
			v.errorf(index(path+".method", i), "%s is not a method; they are written like GET", quote(method))
		}
	}
	for name := range m.Header {
		if !isToken(name) {
			v.errorf(join(path+".header", name), "%s is not the name of a header field", quote(name))
		}
	}
}

var knownMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace}

// tcpMatch refuses conditions that need a request.
func (v *validator) tcpMatch(m *Match, path, listener string) {
	for key, given := range map[string]bool{
		"host": len(m.Host) > 0, "path": len(m.Path) > 0, "method": len(m.Method) > 0, "header": len(m.Header) > 0,
	} {
		if given {
			v.errorf(path+"."+key, "there are no requests on listener %s, whose mode is tcp", quote(listener))
		}
	}
}

func (v *validator) headerEdit(e *HeaderEdit, path string) {
	for i, name := range e.Remove {
		plain := strings.TrimSuffix(name, "*")
		if !isToken(plain) || strings.Contains(plain, "*") {
			v.errorf(index(path+".remove", i), "%s is not the name of a header field", quote(name))
		} else if framing[http.CanonicalHeaderKey(name)] {
			v.errorf(index(path+".remove", i), "the proxy itself takes care of %s", http.CanonicalHeaderKey(name))
		}
	}
	v.fields(path+".set", e.Set)
	v.fields(path+".add", e.Add)
}
