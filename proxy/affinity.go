package proxy

import (
	"strconv"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// affinity brings clients back to their servers by a cookie.
type affinity struct {
	cookie     string
	attributes string // of Set-Cookie, behind the value
}

// newAffinity makes the affinity of a pool; nil: it has none.
func newAffinity(c *config.Affinity) *affinity {
	if c == nil {
		return nil
	}
	a := &affinity{cookie: c.Cookie}
	s := "; Path=" + c.Path + "; HttpOnly"
	if c.MaxAge > 0 {
		s += "; Max-Age=" + strconv.FormatInt(int64(c.MaxAge.D()/time.Second), 10)
	}
	if c.Secure {
		s += "; Secure"
	}
	word := string(c.SameSite)
	a.attributes = s + "; SameSite=" + strings.ToUpper(word[:1]) + word[1:]
	return a
}

// wanted gives the word of the server that the client was at before; "": none.
func (a *affinity) wanted(r *http1.Request) string { return string(cookie(r, a.cookie)) }

// set has the client come back to m.
func (a *affinity) set(x *http1.Exchange, m *balance.Member) {
	// Name and attributes were checked with the configuration, and the word
	// is hexadecimal.
	_ = x.EditResponse().Add("Set-Cookie", a.cookie+"="+m.Affinity()+a.attributes)
}

// cookie finds a cookie of a request (RFC 6265 section 4.2.1).
func cookie(r *http1.Request, name string) []byte {
	if _, ok := r.Known(http1.Cookie); !ok {
		return nil
	}
	for i := range r.Len() {
		field, value := r.Field(i)
		if !equalFold(field, "cookie") {
			continue
		}
		for len(value) > 0 {
			pair := value
			if end := firstByte(value, ';'); end >= 0 {
				pair, value = value[:end], value[end+1:]
			} else {
				value = nil
			}
			for len(pair) > 0 && pair[0] == ' ' {
				pair = pair[1:]
			}
			if len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name {
				return pair[len(name)+1:]
			}
		}
	}
	return nil
}

func firstByte(s []byte, c byte) int {
	for i := range s {
		if s[i] == c {
			return i
		}
	}
	return -1
}
