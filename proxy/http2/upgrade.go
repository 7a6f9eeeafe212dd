package http2

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// upgrade is the other side of an extended CONNECT (RFC 8441): in HTTP/1.1 it is
// a request for an upgrade. For WebSockets that includes a handshake that
// HTTP/2 does without, so it is made here (RFC 6455 section 4.1).
type upgrade struct {
	key string // empty: none was sent
}

// websocketID is what the key is hashed with (RFC 6455 section 1.3).
const websocketID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// append appends the fields that ask for a protocol.
func (u *upgrade) append(dst []byte, protocol string) []byte {
	dst = append(dst, "connection: upgrade\r\n"...)
	dst = appendLine(dst, "upgrade", protocol)
	if protocol == "websocket" {
		var nonce [16]byte
		rand.Read(nonce[:]) // does not fail
		u.key = base64.StdEncoding.EncodeToString(nonce[:])
		dst = appendLine(dst, "sec-websocket-key", u.key)
	}
	return dst
}

// accepts reports whether the server has understood what it agreed to.
func (u *upgrade) accepts(h *http1.Response) bool {
	if u.key == "" || h.Status != 101 {
		return true
	}
	sum := sha1.Sum([]byte(u.key + websocketID))
	got, _ := h.Get("sec-websocket-accept")
	return string(got) == base64.StdEncoding.EncodeToString(sum[:])
}
