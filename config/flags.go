package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Flags are what a proxy is told that is started without a file. What is empty is
// as by default.
type Flags struct {
	Listen     []string // addresses, such as "mptcp@:8080"
	Backends   []string // see FromFlags
	Mode       string
	Stack      string
	Interfaces []string
	Endpoints  []string
	TLSCert    string
	TLSKey     string // may be empty when the key is in TLSCert
	Policy     string
	HTTPReuse  string
	Check      string // "tcp", "tls", or the path of an HTTP check
	SendProxy  string
	Admin      string
	AccessLog  string
	LogFormat  string
	LogLevel   string
}

// FromFlags makes the Config for a proxy that is started without a file, from
// addresses to listen on, such as "mptcp@:8080", and backends, such as
// "http://127.0.0.1:3000", "https://web.example.org", "tcp://10.0.0.1:22" or an
// address alone, which stands for http. All else is as by default. The error is
// an Errors.
func FromFlags(listen, backends []string) (*Config, error) {
	return Flags{Listen: listen, Backends: backends}.Config()
}

// Config makes the Config that the flags stand for, and checks the files that
// they name. The error is an Errors.
func (f Flags) Config() (*Config, error) {
	r := &flagReader{}
	c, listener, pool := fresh[Config](), fresh[Listener](), fresh[Pool]()
	listener.Name, listener.Pool = "web", "web"
	c.Listeners, c.Pools = []*Listener{listener}, map[string]*Pool{"web": pool}
	c.setRequired()
	r.listen(f.Listen, listener)
	r.backends(f.Backends, listener, pool)
	word(r, "--mode", f.Mode, &listener.Mode)
	word(r, "--stack", f.Stack, &c.Network.Stack)
	c.Network.Interfaces, c.Network.Endpoints = f.Interfaces, f.Endpoints
	r.tls(f, listener)
	word(r, "--policy", f.Policy, &pool.Policy)
	word(r, "--http-reuse", f.HTTPReuse, &c.OneConnect[DefaultProfile].HTTPReuse)
	r.check(f.Check, pool)
	word(r, "--send-proxy", f.SendProxy, &pool.SendProxy)
	if f.Admin != "" {
		c.Admin.Address = new(Address)
		r.text("--admin", f.Admin, c.Admin.Address)
	}
	word(r, "--access-log", f.AccessLog, &c.Log.Access.Format)
	word(r, "--log", f.LogFormat, &c.Log.Format)
	word(r, "--log-level", f.LogLevel, &c.Log.Level)
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	c.setRequired()
	c.source = &source{file: "flags"}
	if errs := append(c.validate(nil), c.checkFiles()...); len(errs) > 0 {
		return nil, errs
	}
	return c, nil
}

// flagReader collects what is wrong with flags.
type flagReader struct{ errs Errors }

func (r *flagReader) errorf(flag, format string, args ...any) {
	r.errs = append(r.errs, Error{Position{File: flag}, "", fmt.Sprintf(format, args...)})
}

// text reads a value that knows how it is written.
func (r *flagReader) text(flag, s string, to interface{ UnmarshalText([]byte) error }) {
	if err := to.UnmarshalText([]byte(s)); err != nil {
		r.errorf(flag, "%v", err)
	}
}

// word sets one of the words of a type; an empty one leaves the default.
func word[T interface {
	~string
	worded
}](r *flagReader, flag, s string, to *T) {
	switch words := (*to).words(); {
	case s == "":
	case !isWord(s, words):
		r.errorf(flag, "%s is not a value; %s", quote(s), suggest(s, words))
	default:
		*to = T(s)
	}
}

func (r *flagReader) listen(list []string, l *Listener) {
	for _, s := range list {
		var a Address
		r.text("--listen", s, &a)
		l.Address = append(l.Address, a)
	}
}

// backends reads the backends, whose scheme decides about mode and TLS.
func (r *flagReader) backends(list []string, l *Listener, p *Pool) {
	var schemes []string
	for _, s := range list {
		scheme, b, err := backendOf(s)
		if err != nil {
			r.errorf("--backend", "%v", err)
			continue
		}
		schemes = append(schemes, scheme)
		p.Backends = append(p.Backends, b)
	}
	schemes = slices.Compact(slices.Sorted(slices.Values(schemes)))
	if len(schemes) > 1 {
		r.errorf("--backend", "one proxy cannot mix %s", strings.Join(schemes, " and "))
	} else if len(schemes) == 1 {
		switch schemes[0] {
		case "https":
			p.TLS = fresh[ClientTLS]()
		case "tcp":
			l.Mode = ModeTCP
		}
	}
}

func (r *flagReader) tls(f Flags, l *Listener) {
	switch {
	case f.TLSCert != "":
		l.TLS = fresh[ServerTLS]()
		l.TLS.Certificates = []Certificate{{File(f.TLSCert), File(f.TLSKey)}}
	case f.TLSKey != "":
		r.errorf("--tls-key", "needs --tls-cert")
	}
}

// check reads what to test servers by.
func (r *flagReader) check(s string, p *Pool) {
	if s == "" {
		return
	}
	p.Check = fresh[Check]()
	switch {
	case strings.HasPrefix(s, "/"):
		p.Check.Type, p.Check.Path = CheckHTTP, s
	case s == string(CheckTCP), s == string(CheckTLS):
		p.Check.Type = CheckType(s)
	default:
		r.errorf("--check", "%s is neither a path, such as /health, nor tcp or tls", quote(s))
	}
}

// ports are those of schemes.
var ports = map[string]string{"http": "80", "https": "443", "tcp": ""}

// backendOf reads a backend in the form of a flag.
func backendOf(s string) (scheme string, b Backend, err error) {
	b = *fresh[Backend]()
	if !strings.Contains(s, "://") {
		return "http", b, b.Address.UnmarshalText([]byte(s))
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", b, fmt.Errorf("%s: %v", quote(s), err)
	}
	port, known := ports[u.Scheme]
	switch {
	case !known:
		return "", b, fmt.Errorf("%s: unknown scheme; there are http, https, tcp", quote(s))
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", b, fmt.Errorf("%s: a backend has no path and no user; a route can edit paths", quote(s))
	case u.Port() != "":
		port = u.Port()
	}
	return u.Scheme, b, b.Address.UnmarshalText([]byte(net.JoinHostPort(u.Hostname(), port)))
}
