package certs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/braid-mptcp/braid/config"
)

// authority gets certificates by ACME and renews them. The library does so when
// a client asks for one; fetch sees to it that the first client does not have
// to wait, and that somebody hears of failures.
type authority struct {
	settings config.ACME
	manager  *autocert.Manager
	domains  []string
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
}

const (
	// fetchAfter leaves time for the listeners to come up, over which the
	// authority asks back.
	fetchAfter = time.Second
	// retryFirst and retryMost are the pauses after failures. Authorities
	// count them: Let's Encrypt allows five an hour for a name.
	retryFirst = 15 * time.Minute
	retryMost  = 4 * time.Hour
	// askTimeout bounds one request to the authority.
	askTimeout = time.Minute
)

// newAuthority begins. An error names the file it is about.
func newAuthority(c *config.ACME, log *slog.Logger) (*authority, error) {
	a := &authority{settings: *c, log: log}
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	for _, d := range c.Domains {
		a.domains = append(a.domains, normal(d))
	}
	a.manager = &autocert.Manager{
		Prompt:     func(string) bool { return c.AcceptTerms },
		Cache:      autocert.DirCache(c.Cache),
		HostPolicy: autocert.HostWhitelist(a.domains...),
		Email:      c.Email,
		Client:     client,
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for _, d := range a.domains {
		go a.fetch(d)
	}
	return a, nil
}

// newClient makes what talks to the authority.
func newClient(c *config.ACME) (*acme.Client, error) {
	client := &acme.Client{DirectoryURL: c.Directory, UserAgent: "braid"}
	if c.Directory == "" {
		client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CA != "" {
		pool, _, err := readAuthorities(c.CA)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client.HTTPClient = &http.Client{Transport: transport, Timeout: askTimeout}
	return client, nil
}

// same reports whether b is about the same names at the same authority.
func (a *authority) same(b *authority) bool {
	x, y := &a.settings, &b.settings
	return slices.Equal(a.domains, b.domains) && x.Email == y.Email && x.Directory == y.Directory &&
		x.CA == y.CA && x.Cache == y.Cache && x.AcceptTerms == y.AcceptTerms
}

// covers reports whether the authority is asked for name.
func (a *authority) covers(name string) bool { return slices.Contains(a.domains, normal(name)) }

// certificate gives the certificate that a client asks for. Those that do not
// say for what get the first name's.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		h := *hello
		h.ServerName = a.domains[0]
		hello = &h
	}
	return a.manager.GetCertificate(hello)
}

// challenge answers the authority over HTTP. The library compares the host with
// names, so a port has to go, which is there where another than 80 is passed on
// to us.
func (a *authority) challenge() http.Handler {
	handler := a.manager.HTTPHandler(http.NotFoundHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		handler.ServeHTTP(w, r)
	})
}

// fetch gets the certificate for name, from the cache or from the authority. From
// then on the library renews it.
func (a *authority) fetch(name string) {
	wait := fetchAfter
	for retry := retryFirst; a.sleep(wait); retry = min(2*retry, retryMost) {
		cert, err := a.manager.GetCertificate(modernHello(name))
		if err == nil {
			a.log.Info("certificate by ACME", "name", name, "expires", cert.Leaf.NotAfter)
			return
		}
		if a.ctx.Err() != nil {
			return
		}
		a.log.Error("no certificate by ACME", "name", name, "error", err, "next", retry)
		wait = retry
	}
}

// modernHello is the hello of a client that takes ECDSA, for which the library
// gets a key of that kind.
func modernHello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:       name,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
}

func (a *authority) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// close ends fetching. A request that is under way at the authority goes on
// without anybody waiting for it.
func (a *authority) close() { a.cancel() }
