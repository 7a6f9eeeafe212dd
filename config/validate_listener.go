package config

import (
	"net/url"
	"slices"
	"strings"
)

func (v *validator) listeners() {
	if len(v.cfg.Listeners) == 0 {
		v.errorf("listeners", "there has to be one at least")
	}
	names := make(map[string]int)
	for i, l := range v.cfg.Listeners {
		path := index("listeners", i)
		if j, twice := names[l.Name]; twice && l.Name != "" && v.isNamed(l, path) {
			v.errorf(path+".name", "listeners[%d] has the same name %s", j, quote(l.Name))
		}
		names[l.Name] = i
		v.listener(l, path)
	}
	v.addresses()
}

// isNamed says whether the name of l is one: it may come from an address that is
// wrong, as was said already.
func (v *validator) isNamed(l *Listener, path string) bool {
	return l.Name != (Address{}).String() || !slices.ContainsFunc(v.decoded, func(e Error) bool {
		return strings.HasPrefix(e.Path, path+".address")
	})
}

func (v *validator) listener(l *Listener, path string) {
	if len(l.Address) == 0 {
		v.errorf(path, "has no address")
	}
	refer(v, path+".tcp", "TCP profile", l.TCP, v.cfg.TCPProfiles)
	if l.Pool != "" {
		refer(v, path+".pool", "pool", l.Pool, v.cfg.Pools)
	}
	if l.Pool == "" && !v.hasRoute(l) {
		v.errorf(path, "no route takes what comes here, and it has no pool")
	}
	if l.Mode == ModeTCP && l.TLS != nil && len(l.TLS.ALPN) == 0 && l.TLS.ACME != nil {
		v.errorf(path+".tls.acme", "needs mode http, over which the authority asks")
	}
	if l.TLS != nil {
		v.serverTLS(l.TLS, path+".tls")
	}
	if p := l.AcceptProxy; p != nil {
		if len(p.From) == 0 {
			v.errorf(path+".accept_proxy", "needs from: who sends the header; 0.0.0.0/0 and ::/0 would let any client claim to be anybody")
		}
		if p.Version == ProxyOff {
			v.errorf(path+".accept_proxy.version", "leave accept_proxy out to expect none")
		}
	}
}

// hasRoute says whether any route may concern l.
func (v *validator) hasRoute(l *Listener) bool {
	return slices.ContainsFunc(v.cfg.Routes, func(r *Route) bool {
		return len(r.Match.Listener) == 0 || slices.Contains(r.Match.Listener, l.Name)
	})
}

func (v *validator) serverTLS(t *ServerTLS, path string) {
	if len(t.Certificates) == 0 && t.ACME == nil {
		v.errorf(path, "needs certificates, or acme to get them")
	}
	for i, c := range t.Certificates {
		if c.Cert == "" {
			v.errorf(index(path+".certificates", i), "needs cert")
		}
	}
	if t.ClientAuth != ClientAuthNone && t.ClientCA == "" {
		v.errorf(path+".client_auth", "needs client_ca, the authorities to trust")
	}
	if t.ClientAuth == ClientAuthNone && t.ClientCA != "" {
		v.errorf(path+".client_ca", "is of no use with client_auth: none")
	}
	for i, name := range t.ALPN {
		if name == "" || len(name) > 255 {
			v.errorf(index(path+".alpn", i), "has to have 1 to 255 bytes")
		}
	}
	if t.ACME != nil {
		v.acme(t.ACME, path+".acme")
	}
}

func (v *validator) acme(a *ACME, path string) {
	if len(a.Domains) == 0 {
		v.errorf(path, "needs domains")
	}
	for i, name := range a.Domains {
		if !isHostName(name) || !strings.Contains(name, ".") {
			v.errorf(index(path+".domains", i), "%s is not the full name of a host", quote(name))
		}
	}
	if !a.AcceptTerms {
		v.errorf(path, "needs accept_terms: true; read the authority's terms of service first")
	}
	if a.Email != "" && !strings.Contains(a.Email, "@") {
		v.errorf(path+".email", "%s is not an address", quote(a.Email))
	}
	if a.Directory != "" {
		if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
			v.errorf(path+".directory", "%s is not an https URL", quote(a.Directory))
		}
	}
}
