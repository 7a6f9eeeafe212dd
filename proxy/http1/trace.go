package http1

import "net/netip"

// Mode says what becomes of a field with which proxies tell about the client.
type Mode uint8

const (
	Pass    Mode = iota // as it came, nothing added
	Append              // what came, then ours: where other proxies stand in front
	Replace             // ours alone: where clients connect
	Remove              // nothing
)

// adds reports whether a field of ours is added.
func (m Mode) adds() bool { return m == Append || m == Replace }

// TraceConfig says what servers are told about clients.
type TraceConfig struct {
	For       Mode   // X-Forwarded-For
	Proto     Mode   // X-Forwarded-Proto; Append keeps what came
	Host      Mode   // X-Forwarded-Host; Append keeps what came
	Forwarded Mode   // Forwarded (RFC 7239)
	Via       string // our name in Via (RFC 9110 section 7.6.3); empty: none is added
}

// Trace adds to requests who the client is, over one connection of its.
type Trace struct {
	config  *TraceConfig
	client  netip.Addr
	address []byte // for X-Forwarded-For
	element []byte // of Forwarded, up to the host
	scheme  string
	room    [40]byte // of address
}

// NewTrace prepares for the requests of one client connection. The scheme is
// http or https.
func NewTrace(config *TraceConfig, client netip.Addr, scheme string) *Trace {
	t := &Trace{}
	t.init(config, client, client, scheme)
	return t
}

// init prepares for a connection with peer, over which requests of client come.
// A list gets the peer as its next element, and without a list the client is
// all there is to say.
func (t *Trace) init(config *TraceConfig, peer, client netip.Addr, scheme string) {
	*t = Trace{config: config, client: client, scheme: scheme}
	who := func(m Mode) netip.Addr {
		if m == Replace {
			return client.Unmap().WithZone("")
		}
		return peer.Unmap().WithZone("")
	}
	if a := who(config.For); a.IsValid() {
		t.address = a.AppendTo(t.room[:0])
	}
	if config.Forwarded.adds() {
		t.element = appendElement(nil, who(config.Forwarded), scheme)
	}
}

// appendElement appends for= and proto= (RFC 7239 sections 4 and 6): an IPv6
// address stands in brackets and quotes.
func appendElement(dst []byte, who netip.Addr, scheme string) []byte {
	switch {
	case !who.IsValid():
		dst = append(dst, "for=unknown"...)
	case who.Is4():
		dst = append(dst, "for="...)
		dst = who.AppendTo(dst)
	default:
		dst = append(dst, `for="[`...)
		dst = who.AppendTo(dst)
		dst = append(dst, `]"`...)
	}
	dst = append(dst, ";proto="...)
	return append(dst, scheme...)
}

// drop marks the fields that are replaced, or written anew with ours behind.
func (t *Trace) drop(h *head) {
	if t.config.For != Pass {
		h.dropListed(XForwardedFor, t.config.For)
	}
	if t.config.Forwarded != Pass {
		h.dropListed(Forwarded, t.config.Forwarded)
	}
	if t.config.Proto >= Replace {
		h.dropAll(XForwardedProto)
	}
	if t.config.Host >= Replace {
		h.dropAll(XForwardedHost)
	}
}

// dropListed marks the fields of a list. Their values are still found by
// appendList; those that a Connection field named are not, nor are those to be
// replaced.
func (h *head) dropListed(n Name, mode Mode) {
	first := int(h.first[n])
	if first == 0 {
		return
	}
	for i := first - 1; i < len(h.fields); i++ {
		f := &h.fields[i]
		if f.known != n {
			continue
		}
		if f.drop || mode >= Replace {
			f.value.to = f.value.from
		}
		f.drop = true
	}
}

// append appends the fields.
func (t *Trace) append(dst []byte, r *Request) []byte {
	if t.config.For.adds() && len(t.address) > 0 {
		dst = append(dst, "X-Forwarded-For: "...)
		dst = r.appendList(dst, XForwardedFor)
		dst = append(dst, t.address...)
		dst = append(dst, "\r\n"...)
	}
	if t.config.Proto.adds() && r.lacks(XForwardedProto) {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, t.scheme...)
		dst = append(dst, "\r\n"...)
	}
	host := r.Authority()
	if t.config.Host.adds() && len(host) > 0 && r.lacks(XForwardedHost) {
		dst = appendField(dst, "X-Forwarded-Host", host)
	}
	if t.config.Forwarded.adds() {
		dst = append(dst, "Forwarded: "...)
		dst = r.appendList(dst, Forwarded)
		dst = append(dst, t.element...)
		dst = appendForwardedHost(dst, host)
	}
	if t.config.Via != "" {
		dst = appendVia(dst, r.Minor, t.config.Via)
	}
	return dst
}

// lacks reports whether no field of that name will be forwarded.
func (h *head) lacks(n Name) bool {
	first := int(h.first[n])
	if first == 0 {
		return true
	}
	for _, f := range h.fields[first-1:] {
		if f.known == n && !f.drop {
			return false
		}
	}
	return true
}

// appendList appends the values of all fields of that name, each followed by a
// comma, for one more to follow.
func (h *head) appendList(dst []byte, n Name) []byte {
	first := int(h.first[n])
	if first == 0 {
		return dst
	}
	for _, f := range h.fields[first-1:] {
		if f.known == n && f.value.len() > 0 {
			dst = append(dst, f.value.of(h.buf)...)
			dst = append(dst, ", "...)
		}
	}
	return dst
}

// appendForwardedHost ends an element with host=, quoted since a port or an
// IPv6 literal is no token. Quotes cannot be in it: isAuthority has seen to
// that.
func appendForwardedHost(dst, host []byte) []byte {
	if len(host) > 0 {
		dst = append(dst, `;host="`...)
		dst = append(dst, host...)
		dst = append(dst, '"')
	}
	return append(dst, "\r\n"...)
}

// appendVia appends a Via field with the version that was received.
func appendVia(dst []byte, minor uint8, name string) []byte {
	dst = append(dst, "Via: 1."...)
	dst = append(dst, '0'+minor, ' ')
	dst = append(dst, name...)
	return append(dst, "\r\n"...)
}
