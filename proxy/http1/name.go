package http1

// Name is the name of a field that the engine or a router looks at often.
type Name uint8

const (
	Other Name = iota // any field that has no constant here
	Authorization
	Connection
	ContentLength
	ContentType
	Cookie
	Date
	Expect
	Forwarded
	Host
	HTTP2Settings
	KeepAlive
	ProxyAuthenticate
	ProxyConnection
	SetCookie
	TE
	Trailer
	TransferEncoding
	Upgrade
	UserAgent
	Via
	WWWAuthenticate
	XForwardedFor
	XForwardedHost
	XForwardedProto
	numNames
)

// names are the names in lower case.
var names = [numNames]string{
	Authorization:     "authorization",
	Connection:        "connection",
	ContentLength:     "content-length",
	ContentType:       "content-type",
	Cookie:            "cookie",
	Date:              "date",
	Expect:            "expect",
	Forwarded:         "forwarded",
	Host:              "host",
	HTTP2Settings:     "http2-settings",
	KeepAlive:         "keep-alive",
	ProxyAuthenticate: "proxy-authenticate",
	ProxyConnection:   "proxy-connection",
	SetCookie:         "set-cookie",
	TE:                "te",
	Trailer:           "trailer",
	TransferEncoding:  "transfer-encoding",
	Upgrade:           "upgrade",
	UserAgent:         "user-agent",
	Via:               "via",
	WWWAuthenticate:   "www-authenticate",
	XForwardedFor:     "x-forwarded-for",
	XForwardedHost:    "x-forwarded-host",
	XForwardedProto:   "x-forwarded-proto",
}

// String gives the name in lower case.
func (n Name) String() string {
	if n < numNames {
		return names[n]
	}
	return ""
}

// namesByLength lists the names of each length: few enough to compare in turn.
var namesByLength = func() (t [24][]Name) {
	for n := Other + 1; n < numNames; n++ {
		t[len(names[n])] = append(t[len(names[n])], n)
	}
	return t
}()

// nameOf finds the constant for a field name in any case.
func nameOf(s []byte) Name {
	if len(s) >= len(namesByLength) {
		return Other
	}
	for _, n := range namesByLength[len(s)] {
		if equalFold(s, names[n]) {
			return n
		}
	}
	return Other
}

// isProtected reports whether a field stays although a Connection field names
// it. Framing, routing and credentials concern every recipient, and a client
// that could have the proxy take them away would show the server another
// request than it showed the proxy (RFC 9110 section 7.6.1).
func (n Name) isProtected() bool {
	switch n {
	case Authorization, ContentLength, ContentType, Cookie, Expect, Host, SetCookie,
		Trailer, TransferEncoding, WWWAuthenticate:
		return true
	}
	return false
}

// isHopByHop reports whether a field speaks of one connection and is not
// forwarded as it came (RFC 9110 section 7.6.1). Transfer-Encoding is treated
// with the body.
func (n Name) isHopByHop() bool {
	switch n {
	case Connection, HTTP2Settings, KeepAlive, ProxyConnection, TE, Upgrade:
		return true
	}
	return false
}

// mayNotTrail reports whether a field must not stand in a trailer section: it
// would change framing, routing or authentication after the fact (RFC 9110
// section 6.5.1).
func (n Name) mayNotTrail() bool {
	return n.isHopByHop() || n.isProtected() || n == Forwarded || n == Via ||
		n == XForwardedFor || n == XForwardedHost || n == XForwardedProto ||
		n == ProxyAuthenticate
}
