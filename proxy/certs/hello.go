package certs

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// Faults of a ClientHello.
var (
	// ErrNotTLS says that the client speaks something else than TLS.
	ErrNotTLS = errors.New("certs: not a TLS connection")
	// ErrHelloTimeout says that the ClientHello did not come in time.
	ErrHelloTimeout = errors.New("certs: ClientHello did not arrive in time")
	// ErrHelloLength says that the ClientHello is longer than any real one.
	ErrHelloLength = errors.New("certs: ClientHello too long")
	// ErrHello says that the ClientHello is malformed, or was cut off.
	ErrHello = errors.New("certs: malformed ClientHello")
)

// Hello is what a ClientHello tells about where a connection wants to go.
type Hello struct {
	ServerName string   // by SNI (RFC 6066 section 3), in lower case; empty: none
	Protocols  []string // by ALPN (RFC 7301), most wanted first
}

// maxHello bounds what is read of a ClientHello with its framing, in bytes.
// Those with post-quantum keys and a long ticket have some four thousand.
const maxHello = 32 << 10

// PeekHello reads the ClientHello of a connection for at most limit, or as long
// as it takes if that is 0. It answers nothing. The connection that it returns
// gives what was read again; it comes with an error too, so that somebody else
// may have it. c is not to be used any more, and is closed by closing that.
//
// The error is one of those above or what c's Read gave.
func PeekHello(c net.Conn, limit time.Duration) (Hello, *Peeked, error) {
	p := &Peeked{Conn: c}
	if limit > 0 {
		c.SetReadDeadline(time.Now().Add(limit))
		defer c.SetReadDeadline(time.Time{})
	}
	r := &recorder{Conn: c}
	var hello *Hello
	// crypto/tls is the parser: what it takes for the name is what a server
	// of ours would take for it. The handshake ends with the ClientHello.
	err := tls.Server(r, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = &Hello{normal(h.ServerName), slices.Clone(h.SupportedProtos)}
			return nil, ErrHello
		},
	}).Handshake()
	p.read = r.read
	switch {
	case hello != nil:
		return *hello, p, nil
	case r.err != nil:
		return Hello{}, p, r.reason()
	}
	if record := (tls.RecordHeaderError{}); errors.As(err, &record) {
		return Hello{}, p, ErrNotTLS
	}
	return Hello{}, p, ErrHello
}

// recorder keeps what is read from a connection and lets nothing out.
type recorder struct {
	net.Conn
	read []byte
	err  error // with which reading ended
}

// handshakeRecord is the type of the record that a TLS connection begins with
// (RFC 8446 section 5.1).
const handshakeRecord = 22

func (r *recorder) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	left := maxHello - len(r.read)
	if left == 0 {
		r.err = ErrHelloLength
		return 0, r.err
	}
	n, err := r.Conn.Read(b[:min(len(b), left)])
	r.read = append(r.read, b[:n]...)
	if len(r.read) > 0 && r.read[0] != handshakeRecord {
		// Its first bytes may be all that it says before we do.
		err = ErrNotTLS
	}
	r.err = err
	return n, err
}

func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) Close() error                { return nil }

// reason gives the error to report for how reading ended.
func (r *recorder) reason() error {
	switch {
	case errors.Is(r.err, os.ErrDeadlineExceeded):
		return ErrHelloTimeout
	case r.err == io.EOF && len(r.read) > 0:
		return ErrHello
	}
	return r.err
}

// Peeked is a connection of which something was read ahead. Reading gives that
// first.
type Peeked struct {
	net.Conn
	read []byte
}

// Read reads what was read ahead, then from the connection.
func (p *Peeked) Read(b []byte) (int, error) {
	if len(p.read) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.read)
	if p.read = p.read[n:]; len(p.read) == 0 {
		p.read = nil
	}
	return n, nil
}

// Take gives what was read ahead and takes it out: from then on the connection
// underneath may be used in place of this one.
func (p *Peeked) Take() []byte {
	b := p.read
	p.read = nil
	return b
}

// WriteTo writes to w all there is to read. Once that is what the connection
// underneath has, the kernel may be able to pass it on by itself.
func (p *Peeked) WriteTo(w io.Writer) (int64, error) {
	b := p.Take()
	n, err := w.Write(b)
	if err != nil {
		return int64(n), err
	}
	rest, err := io.Copy(w, p.Conn)
	return int64(n) + rest, err
}

// NetConn gives the connection underneath.
func (p *Peeked) NetConn() net.Conn { return p.Conn }

// CloseWrite ends the stream towards the peer, where that can be done alone.
func (p *Peeked) CloseWrite() error {
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}
