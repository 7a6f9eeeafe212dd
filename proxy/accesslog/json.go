package accesslog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/braid-mptcp/braid/proxy/status"
)

// appendJSON appends r as an object on a line. Members that have nothing to say
// are left out, except those every reader counts on.
func appendJSON(b []byte, r *Record) []byte {
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","client":"`...)
	b = appendAddrPort(b, r.Conn.Client)
	b = append(b, '"')
	b = member(b, "listener", r.Listener)
	b = member(b, "protocol", r.Protocol)
	b = optional(b, "scheme", r.Scheme)
	b = optional(b, "method", r.Method)
	b = optional(b, "host", r.Host)
	b = optional(b, "target", r.Target)
	b = integer(b, "status", int64(r.Status))
	b = integer(b, "bytes_in", r.BytesIn)
	b = integer(b, "bytes_out", r.BytesOut)
	b = integer(b, "body_bytes", r.Body)
	b = seconds(b, "duration_seconds", r.Total)
	b = phases(b, r)
	b = optional(b, "route", r.Route)
	b = optional(b, "pool", r.Pool)
	b = optional(b, "backend", r.Backend)
	b = flag(b, "server_reused", r.Reused)
	b = flag(b, "retried", r.Retried)
	if r.Err != nil {
		b = member(b, "error", r.Err.Error())
	}
	b = optional(b, "user", r.User)
	b = optional(b, "user_agent", r.UserAgent)
	b = optional(b, "referer", r.Referer)
	b = optional(b, "request_id", r.RequestID)
	b = appendConnection(b, &r.Conn)
	return append(b, '}', '\n')
}

// phases appends how long each phase took, as far as it was reached.
func phases(b []byte, r *Record) []byte {
	if r.Head > 0 {
		b = seconds(b, "head_seconds", r.Head)
	}
	if r.Connected > 0 {
		b = seconds(b, "server_seconds", r.Connected-r.Head)
	}
	if r.Answered > 0 {
		b = seconds(b, "wait_seconds", r.Answered-max(r.Connected, r.Head))
	}
	return b
}

func appendConnection(b []byte, c *Connection) []byte {
	b = append(b, `,"connection":{"id":`...)
	b = strconv.AppendUint(b, c.ID, 10)
	b = append(b, `,"local":"`...)
	b = appendAddrPort(b, c.Local)
	b = append(b, '"')
	b = optional(b, "tls", c.TLSVersion)
	b = optional(b, "server_name", c.ServerName)
	b = integer(b, "requests", c.Requests)
	b = integer(b, "bytes_in", c.BytesIn)
	b = integer(b, "bytes_out", c.BytesOut)
	b = append(b, `,"multipath":`...)
	b = strconv.AppendBool(b, c.Multipath)
	b = optional(b, "fallback", c.Fallback)
	b = append(b, `,"subflows":[`...)
	for i := range c.Paths {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPath(b, &c.Paths[i])
	}
	return append(b, "]}"...)
}

func appendPath(b []byte, p *status.Path) []byte {
	b = append(b, `{"local":"`...)
	b = appendAddrPort(b, p.Local)
	b = append(b, `","remote":"`...)
	b = appendAddrPort(b, p.Remote)
	b = append(b, '"')
	b = optional(b, "interface", p.Interface)
	b = append(b, `,"up":`...)
	b = strconv.AppendBool(b, p.Up)
	b = flag(b, "backup", p.Backup)
	b = integer(b, "bytes_in", int64(p.BytesIn))
	b = integer(b, "bytes_out", int64(p.BytesOut))
	b = integer(b, "retransmitted_bytes", int64(p.Retransmitted))
	b = seconds(b, "rtt_seconds", p.RTT)
	return append(b, '}')
}

func key(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// member appends a string.
func member[T ~string | ~[]byte](b []byte, name string, value T) []byte {
	b = append(key(b, name), '"')
	b = appendEscaped(b, value)
	return append(b, '"')
}

// optional is member for a string that may be left out.
func optional[T ~string | ~[]byte](b []byte, name string, value T) []byte {
	if len(value) == 0 {
		return b
	}
	return member(b, name, value)
}

func integer(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(key(b, name), n, 10)
}

// flag appends what is true; what is false is left out.
func flag(b []byte, name string, is bool) []byte {
	if !is {
		return b
	}
	return append(key(b, name), "true"...)
}

// seconds appends a duration with microseconds.
func seconds(b []byte, name string, d time.Duration) []byte {
	us := max(d, 0).Microseconds()
	b = strconv.AppendInt(key(b, name), us/1e6, 10)
	if us %= 1e6; us == 0 {
		return b
	}
	b = append(b, '.')
	for unit := int64(1e5); us > 0; unit /= 10 {
		b = append(b, byte('0'+us/unit))
		us %= unit
	}
	return b
}

// appendAddrPort appends an address without its zone, which is the name of an
// interface and may contain anything.
func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).AppendTo(b)
}

const hex = "0123456789abcdef"

// appendEscaped appends what stands between the quotes of a JSON string. Beside
// what JSON asks for, everything is escaped that may end a line or steer a
// terminal.
func appendEscaped[T ~string | ~[]byte](b []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf-1 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		n := 1
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < utf8.RuneSelf:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b, n = appendRune(b, s[i:min(i+utf8.UTFMax, len(s))])
		}
		i += n
		start = i
	}
	return append(b, s[start:]...)
}

// appendRune appends the character at the beginning of s, which is beyond ASCII,
// and says how many bytes it had.
func appendRune[T ~string | ~[]byte](b []byte, s T) ([]byte, int) {
	var four [utf8.UTFMax]byte
	r, n := utf8.DecodeRune(four[:copy(four[:], s)])
	switch {
	case r == utf8.RuneError && n == 1:
		return append(b, `\ufffd`...), 1
	case r < 0xa0, r == '\u2028', r == '\u2029', r >= '\u200e' && r <= '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		// Controls, ends of lines, directions of text.
		return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]), n
	}
	return append(b, four[:n]...), n
}
