package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/acme"

	"github.com/braid-mptcp/braid/config"
)

// Server is the TLS of a listener. Its methods may be called by any goroutine.
type Server struct {
	settings  config.ServerTLS
	protocols []string
	log       *slog.Logger
	acme      *authority  // nil: none
	handedOn  atomic.Bool // to a successor, with its authority
	front     *front
	state     atomic.Pointer[state]
	watcher   *watcher

	mu     sync.Mutex // held while files are read
	failed string     // what was wrong with them last time
}

// front is the tls.Config that connections are given. It outlives the Server it
// was made for (see Continue), since the keys of session tickets belong to it.
type front struct {
	config *tls.Config
	server atomic.Pointer[Server]
}

// state is what was made of the files. It is never changed.
type state struct {
	files     *files
	config    *tls.Config
	challenge *tls.Config // for the authority's own handshakes; nil without ACME
}

// NewServer reads the files that c names and watches them from then on. In mode
// http the listener's protocols are offered unless c has others; http2 says
// whether h2 is one of them. An error names the file it is about.
func NewServer(c *config.ServerTLS, mode config.Mode, http2 bool, log *slog.Logger) (*Server, error) {
	s := &Server{settings: *c, protocols: protocols(c, mode, http2), log: log}
	f, err := readFiles(c)
	if err != nil {
		return nil, err
	}
	if c.ACME == nil && len(f.certificates) == 0 {
		return nil, errors.New("certs: neither certificates nor acme")
	}
	if c.ACME != nil {
		if s.acme, err = newAuthority(c.ACME, log); err != nil {
			return nil, err
		}
	}
	s.use(f)
	s.front = &front{config: &tls.Config{MinVersion: version(c.MinVersion)}}
	s.front.config.GetConfigForClient = s.front.choose
	s.front.server.Store(s)
	f.warn(log)
	s.watcher = watch(s)
	return s, nil
}

// protocols gives what ALPN offers.
func protocols(c *config.ServerTLS, mode config.Mode, http2 bool) []string {
	switch {
	case len(c.ALPN) > 0:
		return slices.Clone(c.ALPN)
	case mode == config.ModeTCP:
		return nil
	case http2:
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}

func version(v config.TLSVersion) uint16 {
	if v == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// use puts files in force.
func (s *Server) use(f *files) {
	st := &state{files: f}
	st.config = &tls.Config{
		MinVersion:     version(s.settings.MinVersion),
		NextProtos:     s.protocols,
		ClientCAs:      f.clientCAs,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate(f, h) },
	}
	switch s.settings.ClientAuth {
	case config.ClientAuthRequest:
		st.config.ClientAuth = tls.VerifyClientCertIfGiven
	case config.ClientAuthRequire:
		st.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if s.acme != nil {
		// The authority has no client certificate to show.
		st.challenge = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{acme.ALPNProto},
			GetCertificate: s.acme.manager.GetCertificate,
		}
	}
	s.state.Store(st)
}

// certificate chooses what to show to a client: a file with its name, what the
// authority gave for it, or else the first.
func (s *Server) certificate(f *files, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := f.byName(hello); c != nil {
		return c, nil
	}
	if s.acme != nil && (len(f.certificates) == 0 || s.acme.covers(hello.ServerName)) {
		return s.acme.certificate(hello)
	}
	return f.first(hello), nil
}

// choose is called for every ClientHello.
func (f *front) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	st := f.server.Load().state.Load()
	if st.challenge != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return st.challenge, nil
	}
	return st.config, nil
}

// Config gives the configuration for tls.Server. It stays right when files
// change, so it may be kept.
//
// With ACME, connections on which acme-tls/1 was negotiated are the authority's
// (RFC 8737): they end with the handshake, and are to be closed.
func (s *Server) Config() *tls.Config { return s.front.config }

// Continue makes s the successor of old: tickets of old are good for s, a Config
// of old serves s, and certificates of the same authority are kept in memory.
// old is to be closed then. It is called before s serves anybody.
func (s *Server) Continue(old *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acme != nil && old.acme != nil && s.acme.same(old.acme) {
		s.acme.close()
		s.acme = old.acme
		old.handedOn.Store(true)
		s.use(s.state.Load().files)
	}
	s.front = old.front
	s.front.server.Store(s)
}

// Challenge answers the authority's requests for
// /.well-known/acme-challenge/ (RFC 8555 section 8.3), and 404 or 403 to all
// others.
// It is nil without ACME.
func (s *Server) Challenge() http.Handler {
	if s.acme == nil {
		return nil
	}
	return s.acme.challenge()
}

// Reload reads the files now. If one is broken, the error names it and the old
// certificates stay in force.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.state.Load().files
	f, err := readFiles(&s.settings)
	if err != nil {
		if s.failed != err.Error() {
			s.failed = err.Error()
			s.log.Error("certificates stay as they were", "error", err)
		}
		return err
	}
	again := s.failed != ""
	s.failed = ""
	if f.sum == old.sum {
		if again {
			s.log.Info("certificate files are in order again")
		}
		return nil
	}
	s.use(f)
	f.tell(s.log)
	f.warn(s.log)
	return nil
}

// Close ends the watching of files and what was under way with the authority.
// Connections and Configs stay valid.
func (s *Server) Close() {
	s.watcher.close()
	if s.acme != nil && !s.handedOn.Load() {
		s.acme.close()
	}
}
