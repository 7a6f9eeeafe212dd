package proxy

import (
	"net/netip"
	"strings"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// hashOf gives what Maglev hashes of a request. Where a request lacks it, the
// client's address stands in, so that such requests are spread too.
func hashOf(key *config.HashKey, x *http1.Exchange, c *clientConn) uint64 {
	r := x.Request
	var value []byte
	switch key.Kind {
	case "host":
		var room [64]byte
		return balance.HashKey(appendHost(room[:0], r.Authority()))
	case "path":
		value = r.Path()
		if end := firstByte(value, '?'); end >= 0 {
			value = value[:end]
		}
	case "uri":
		value = r.Path()
	case "sni":
		if t := c.tls.Load(); t != nil && t.serverName != "" {
			return balance.HashKey(t.serverName)
		}
	case "header":
		value, _ = r.Get(key.Name)
	case "cookie":
		value = cookie(r, key.Name)
	}
	if len(value) == 0 {
		return hashAddr(x.Client.Addr())
	}
	return balance.HashKey(value)
}

func hashAddr(a netip.Addr) uint64 {
	b := a.As16()
	return balance.HashKey(b[:])
}

// lowerKey makes the name of a header field comparable.
func lowerKey(k config.HashKey) config.HashKey {
	if k.Kind == "header" {
		k.Name = strings.ToLower(k.Name)
	}
	return k
}
