package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/braid-mptcp/braid/config"
)

// files is what the files of a listener hold. It is never changed.
type files struct {
	certificates []*tls.Certificate
	names        map[string][]*tls.Certificate // see index
	clientCAs    *x509.CertPool
	sum          [sha256.Size]byte // of all content
}

// readFiles reads what c names.
func readFiles(c *config.ServerTLS) (*files, error) {
	f := &files{}
	sum := sha256.New()
	for i := range c.Certificates {
		cert, raw, err := readCertificate(&c.Certificates[i])
		if err != nil {
			return nil, err
		}
		sum.Write(raw)
		f.certificates = append(f.certificates, cert)
	}
	if c.ClientCA != "" {
		pool, raw, err := readAuthorities(c.ClientCA)
		if err != nil {
			return nil, err
		}
		sum.Write(raw)
		f.clientCAs = pool
	}
	sum.Sum(f.sum[:0])
	f.names = index(f.certificates)
	return f, nil
}

// readCertificate reads a certificate with its key. raw is all that was read.
func readCertificate(c *config.Certificate) (cert *tls.Certificate, raw []byte, err error) {
	chain, err := os.ReadFile(string(c.Cert))
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	key, from := chain, string(c.Cert)
	if c.Key != "" {
		if key, err = os.ReadFile(string(c.Key)); err != nil {
			return nil, nil, fmt.Errorf("certs: %w", err)
		}
		from += " with " + string(c.Key)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %s: %w", from, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, nil, fmt.Errorf("certs: %s: %w", from, err)
		}
	}
	return &pair, bytes.Join([][]byte{chain, key}, []byte{0}), nil
}

// readAuthorities reads certificates of authorities.
func readAuthorities(f config.File) (pool *x509.CertPool, raw []byte, err error) {
	raw, err = os.ReadFile(string(f))
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	pool = x509.NewCertPool()
	found := false
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("certs: %s: %w", f, err)
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, nil, fmt.Errorf("certs: %s: no certificate in it", f)
	}
	return pool, raw, nil
}

// tell says what was read.
func (f *files) tell(log *slog.Logger) {
	for _, c := range f.certificates {
		log.Info("certificate read", "names", namesOf(c.Leaf), "expires", c.Leaf.NotAfter)
	}
	if len(f.certificates) == 0 {
		log.Info("authorities of clients read")
	}
}

// soon is how long before its end a certificate deserves a warning: by then
// whoever renews it should have done so.
const soon = 7 * 24 * time.Hour

// warn says which certificates are not, or not much longer, of use.
func (f *files) warn(log *slog.Logger) {
	now := time.Now()
	for _, c := range f.certificates {
		names := namesOf(c.Leaf)
		switch {
		case now.After(c.Leaf.NotAfter):
			log.Warn("certificate has expired", "names", names, "expired", c.Leaf.NotAfter)
		case now.Add(soon).After(c.Leaf.NotAfter):
			log.Warn("certificate expires soon", "names", names, "expires", c.Leaf.NotAfter)
		case now.Before(c.Leaf.NotBefore):
			log.Warn("certificate is not valid yet", "names", names, "from", c.Leaf.NotBefore)
		}
	}
}
