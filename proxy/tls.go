package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/config"
)

// plainToTLS answers requests that come in the clear where TLS is spoken.
const plainToTLS = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 42\r\n" +
	"Connection: close\r\n\r\nThis is an HTTPS port; speak TLS with it.\n"

// shakeHands speaks TLS with a client. With an error the connection is closed.
func (l *listener) shakeHands(c *clientConn, r *rules) (*tls.Conn, error) {
	if d := r.timeouts.TLSHandshake.D(); d > 0 {
		c.SetDeadline(time.Now().Add(d))
	}
	tc := tls.Server(c, r.certs.Config())
	if err := tc.Handshake(); err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) && l.mode == config.ModeHTTP {
			record.Conn.Write([]byte(plainToTLS))
		}
		tc.NetConn().Close()
		return nil, err
	}
	c.SetDeadline(time.Time{})
	state := tc.ConnectionState()
	facts := &tlsFacts{
		version: tls.VersionName(state.Version), serverName: strings.ToLower(state.ServerName), protocol: state.NegotiatedProtocol,
	}
	if shown := state.PeerCertificates; len(shown) > 0 {
		facts.client = shown[0].Subject.String()
	}
	c.tls.Store(facts)
	if state.NegotiatedProtocol == acmeProtocol {
		// All that the authority wanted was the handshake (RFC 8737).
		tc.Close()
		return nil, net.ErrClosed
	}
	return tc, nil
}

// looksLikeHTTP says whether what came in place of a TLS record is a method.
func looksLikeHTTP(record [5]byte) bool {
	switch string(record[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "CONNE", "PRI *":
		return true
	}
	return false
}

// acmeProtocol is what ACME authorities speak to check a name (RFC 8737).
const acmeProtocol = "acme-tls/1"
