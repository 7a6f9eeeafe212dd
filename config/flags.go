package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// FromFlags makes the Config for a proxy that is started without a file, from
// addresses to listen on, such as "mptcp@:8080", and backends, such as
// "http://127.0.0.1:3000", "https://web.example.org", "tcp://10.0.0.1:22" or an
// address alone, which stands for http. All else is as by default. The error is
// an Errors.
func FromFlags(listen, backends []string) (*Config, error) {
	c, listener, pool := fresh[Config](), fresh[Listener](), fresh[Pool]()
	listener.Name, listener.Pool = "web", "web"
	var errs Errors
	for _, s := range listen {
		var a Address
		if err := a.UnmarshalText([]byte(s)); err != nil {
			errs = append(errs, Error{Position{File: "--listen"}, "", err.Error()})
			continue
		}
		listener.Address = append(listener.Address, a)
	}
	var schemes []string
	for _, s := range backends {
		scheme, b, err := backendOf(s)
		if err != nil {
			errs = append(errs, Error{Position{File: "--backend"}, "", err.Error()})
			continue
		}
		schemes = append(schemes, scheme)
		pool.Backends = append(pool.Backends, b)
	}
	schemes = slices.Compact(slices.Sorted(slices.Values(schemes)))
	if len(schemes) > 1 {
		errs = append(errs, Error{Position{File: "--backend"}, "",
			"one proxy cannot mix " + strings.Join(schemes, " and ")})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	if len(schemes) == 1 {
		switch schemes[0] {
		case "https":
			pool.TLS = fresh[ClientTLS]()
		case "tcp":
			listener.Mode = ModeTCP
		}
	}
	c.Listeners, c.Pools = []*Listener{listener}, map[string]*Pool{"web": pool}
	c.setRequired()
	c.source = &source{file: "flags"}
	if errs := c.validate(nil); len(errs) > 0 {
		return nil, errs
	}
	return c, nil
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
