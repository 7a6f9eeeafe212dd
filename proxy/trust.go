package proxy

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// trust says which proxies in front of this one are believed.
type trust struct{ networks []netip.Prefix }

func newTrust(c *config.Forwarded) *trust {
	t := &trust{}
	for _, p := range c.Trusted {
		t.networks = append(t.networks, p.Prefix)
	}
	return t
}

// client puts into x who the client is by the word of trusted proxies, and says
// whether the request comes from one.
func (t *trust) client(x *http1.Exchange) (trusted bool) {
	if len(t.networks) == 0 || !containsAddr(t.networks, x.Client.Addr()) {
		return false
	}
	if a, ok := t.walk(x.Request, http1.XForwardedFor, parseListed); ok {
		x.Client = a
	} else if a, ok := t.walk(x.Request, http1.Forwarded, parseElement); ok {
		x.Client = a
	}
	return true
}

// walk goes through the proxies that a list names, from the last to the first,
// for as long as they are trusted. The first that is not, or the very first, is
// the client. What makes no sense ends the walk: the one who wrote it is the last
// of whom something is known.
func (t *trust) walk(r *http1.Request, name http1.Name, parse func([]byte) (netip.AddrPort, bool)) (client netip.AddrPort, ok bool) {
	for i := r.Len() - 1; i >= 0; i-- {
		field, value := r.Field(i)
		if !equalFold(field, name.String()) {
			continue
		}
		for len(value) > 0 {
			item := value
			if comma := lastByte(value, ','); comma >= 0 {
				item, value = value[comma+1:], value[:comma]
			} else {
				value = nil
			}
			a, good := parse(bytes.TrimSpace(item))
			if !good {
				return client, ok
			}
			client, ok = a, true
			if !containsAddr(t.networks, a.Addr()) {
				return client, true
			}
		}
	}
	return client, ok
}

// parseListed reads an element of X-Forwarded-For: an address, which some write
// with a port.
func parseListed(item []byte) (netip.AddrPort, bool) {
	s := string(item)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), true
	}
	ap, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), err == nil
}

// parseElement finds for= in an element of Forwarded (RFC 7239 section 4).
func parseElement(item []byte) (netip.AddrPort, bool) {
	for pair := range strings.SplitSeq(string(item), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return parseListed([]byte(strings.Trim(value, `"`)))
		}
	}
	return netip.AddrPort{}, false
}

// traces are what servers are told about clients, about those that come by a
// trusted proxy and others.
type traces struct{ trusted, direct http1.TraceConfig }

func (t *traces) of(trusted bool) *http1.TraceConfig {
	if trusted {
		return &t.trusted
	}
	return &t.direct
}

// newTraces makes the traces of a route, whose own edits come first.
func newTraces(c *config.Forwarded, edits *config.HeaderEdit) *traces {
	t := &traces{}
	t.direct = http1.TraceConfig{
		For: directMode(c.XForwardedFor), Proto: directMode(c.XForwardedProto), Host: directMode(c.XForwardedHost),
		Forwarded: directMode(c.Forwarded), Via: c.Via,
	}
	t.trusted = http1.TraceConfig{
		For: trustedMode(c.XForwardedFor, http1.Replace), Forwarded: trustedMode(c.Forwarded, http1.Replace),
		// What they said of the request as it came to them stays.
		Proto: trustedMode(c.XForwardedProto, http1.Append), Host: trustedMode(c.XForwardedHost, http1.Append),
		Via: c.Via,
	}
	if edits == nil {
		return t
	}
	for _, trace := range []*http1.TraceConfig{&t.direct, &t.trusted} {
		for name, mode := range map[string]*http1.Mode{
			"X-Forwarded-For": &trace.For, "X-Forwarded-Proto": &trace.Proto, "X-Forwarded-Host": &trace.Host,
			"Forwarded": &trace.Forwarded,
		} {
			if mentions(edits, name) {
				*mode = http1.Remove
			}
		}
	}
	return t
}

func directMode(m config.ForwardedMode) http1.Mode {
	switch m {
	case config.ForwardedAppend, config.ForwardedSet:
		return http1.Replace
	case config.ForwardedRemove:
		return http1.Remove
	}
	return http1.Pass
}

func trustedMode(m config.ForwardedMode, set http1.Mode) http1.Mode {
	switch m {
	case config.ForwardedAppend:
		return http1.Append
	case config.ForwardedSet:
		return set
	case config.ForwardedRemove:
		return http1.Remove
	}
	return http1.Pass
}
