package accesslog

import "strconv"

// commonTime is the time of the common log format.
const commonTime = "02/Jan/2006:15:04:05 -0700"

// appendCommon appends r in the common log format, without the line's end:
//
//	client - user [time] "method target protocol" status bytes
func appendCommon(b []byte, r *Record) []byte {
	if client := r.Conn.Client.Addr(); client.IsValid() {
		b = client.WithZone("").AppendTo(b)
	} else {
		b = append(b, '-')
	}
	b = append(b, " - "...)
	b = appendUser(b, r.User)
	b = append(b, " ["...)
	b = r.Time.Local().AppendFormat(b, commonTime)
	b = append(b, `] "`...)
	b = appendRequestLine(b, r)
	b = append(b, '"', ' ')
	// Nobody got an answer: 000, since readers want three digits.
	status := min(max(r.Status, 0), 999)
	b = append(b, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10), ' ')
	if r.Body <= 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, r.Body, 10)
}

// appendRequestLine appends the request line. A connection of mode tcp has none,
// so it is the name by which it was routed.
func appendRequestLine(b []byte, r *Record) []byte {
	if len(r.Method) == 0 {
		if len(r.Target) == 0 {
			return append(b, '-')
		}
		return appendQuoted(b, r.Target)
	}
	b = appendQuoted(b, r.Method)
	b = append(b, ' ')
	b = appendQuoted(b, r.Target)
	b = append(b, ' ')
	return appendQuoted(b, r.Protocol)
}

// appendUser appends what stands outside of quotes, where a space ends a field.
func appendUser[T ~string | ~[]byte](b []byte, user T) []byte {
	if len(user) == 0 {
		return append(b, '-')
	}
	for i := range len(user) {
		if c := user[i]; c == ' ' {
			b = append(b, `\x20`...)
		} else {
			b = appendQuotedByte(b, c)
		}
	}
	return b
}

// appendCombined appends the two fields that make common combined.
func appendCombined(b []byte, r *Record) []byte {
	b = append(b, ' ', '"')
	b = appendOrDash(b, r.Referer)
	b = append(b, '"', ' ', '"')
	b = appendOrDash(b, r.UserAgent)
	return append(b, '"')
}

// appendMultipath appends a field about the client's connection:
//
//	"mptcp eth0=812/40960 wlan0=0/163840"
//	"tcp not_offered eth0=812/204800"
//
// with bytes in and out for each of its subflows, and for plain TCP the reason.
func appendMultipath(b []byte, r *Record) []byte {
	b = append(b, ` "`...)
	if r.Conn.Multipath {
		b = append(b, "mptcp"...)
	} else {
		b = append(b, "tcp"...)
		if r.Conn.Fallback != "" {
			b = append(b, ' ')
			b = appendQuoted(b, r.Conn.Fallback)
		}
	}
	for i := range r.Conn.Paths {
		p := &r.Conn.Paths[i]
		b = append(b, ' ')
		if p.Interface != "" {
			b = appendUser(b, p.Interface)
		} else {
			b = p.Local.Addr().WithZone("").AppendTo(b)
		}
		b = append(b, '=')
		b = strconv.AppendUint(b, p.BytesIn, 10)
		b = append(b, '/')
		b = strconv.AppendUint(b, p.BytesOut, 10)
	}
	return append(b, '"')
}

func appendOrDash(b, s []byte) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	return appendQuoted(b, s)
}

// appendQuoted appends what stands between quotes.
func appendQuoted[T ~string | ~[]byte](b []byte, s T) []byte {
	for i := range len(s) {
		b = appendQuotedByte(b, s[i])
	}
	return b
}

func appendQuotedByte(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c < ' ' || c > '~':
		return append(b, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return append(b, c)
}
