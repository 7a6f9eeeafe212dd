package proxy

import (
	"strconv"
	"strings"

	"github.com/braid-mptcp/braid"
)

// template is a text with words that stand for something of the request. What is
// in braces and is none of the words stays as it is.
type template []templatePart

// templatePart is text, or a word.
type templatePart struct {
	text string
	word templateWord
}

type templateWord uint8

const (
	wordNone templateWord = iota // text
	wordHost
	wordPath
	wordQuery
	wordURI
	wordMethod
	wordScheme
	wordListener
	wordClient
	wordClientPort
	wordTransport
	wordSNI
	wordTLSVersion
	wordTLSClient
)

var templateWords = map[string]templateWord{
	"host": wordHost, "path": wordPath, "query": wordQuery, "uri": wordURI, "method": wordMethod, "scheme": wordScheme,
	"listener": wordListener, "client": wordClient, "client_port": wordClientPort, "transport": wordTransport,
	"sni": wordSNI, "tls_version": wordTLSVersion, "tls_client": wordTLSClient,
}

// newTemplate takes a text apart.
func newTemplate(text string) (t template) {
	rest := text
	for at := 0; at < len(rest); at++ {
		if rest[at] != '{' {
			continue
		}
		name, after, closed := strings.Cut(rest[at+1:], "}")
		word := templateWords[name]
		if !closed || word == wordNone {
			continue
		}
		if at > 0 {
			t = append(t, templatePart{text: rest[:at]})
		}
		t = append(t, templatePart{word: word})
		rest, at = after, -1
	}
	if rest != "" {
		t = append(t, templatePart{text: rest})
	}
	return t
}

// fixed says whether t is the same for all requests.
func (t template) fixed() bool {
	for _, p := range t {
		if p.word != wordNone {
			return false
		}
	}
	return true
}

// append appends the text for a request.
func (t template) append(dst []byte, req *request) []byte {
	for _, p := range t {
		if p.word == wordNone {
			dst = append(dst, p.text...)
		} else {
			dst = p.word.append(dst, req)
		}
	}
	return dst
}

// append appends what a word stands for, which may be nothing.
func (w templateWord) append(dst []byte, req *request) []byte {
	x, c := req.x, req.conn
	switch w {
	case wordHost:
		return appendHost(dst, x.Request.Authority())
	case wordPath:
		return append(dst, req.rawPath...)
	case wordQuery:
		if full := x.Request.Path(); len(full) > len(req.rawPath) {
			return append(dst, full[len(req.rawPath)+1:]...)
		}
	case wordURI:
		return append(dst, x.Request.Path()...)
	case wordMethod:
		return append(dst, x.Request.MethodName()...)
	case wordListener:
		return append(dst, c.listener.name...)
	case wordClient:
		if client := x.Client.Addr(); client.IsValid() {
			return client.WithZone("").AppendTo(dst)
		}
	case wordClientPort:
		if port := x.Client.Port(); port > 0 {
			return strconv.AppendUint(dst, uint64(port), 10)
		}
	case wordTransport:
		if info, _ := braid.InfoOf(c.Conn); info.Multipath {
			return append(dst, "mptcp"...)
		}
		return append(dst, "tcp"...)
	}
	return w.appendTLS(dst, c.tls.Load())
}

// appendTLS appends what a word says of the TLS handshake; nil: there was none.
func (w templateWord) appendTLS(dst []byte, t *tlsFacts) []byte {
	switch {
	case w == wordScheme && t == nil:
		return append(dst, "http"...)
	case w == wordScheme:
		return append(dst, "https"...)
	case t == nil:
		return dst
	}
	switch w {
	case wordSNI:
		return append(dst, t.serverName...)
	case wordTLSVersion:
		return append(dst, t.version...)
	case wordTLSClient:
		return append(dst, t.client...)
	}
	return dst
}
