package certs

import (
	"crypto/tls"

	"github.com/braid-mptcp/braid/config"
)

// sessions is how many servers' sessions are kept for resumption.
const sessions = 256

// Client makes the TLS towards servers. Where c has no server name, the caller
// sets ServerName in a clone for each connection. An error names the file it is
// about. Files are read once.
func Client(c *config.ClientTLS) (*tls.Config, error) {
	t := &tls.Config{
		ServerName:         c.ServerName,
		MinVersion:         version(c.MinVersion),
		InsecureSkipVerify: !c.Verify,
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
	if c.CA != "" {
		pool, _, err := readAuthorities(c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	if c.Certificate != nil {
		cert, _, err := readCertificate(c.Certificate)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{*cert}
	}
	return t, nil
}
