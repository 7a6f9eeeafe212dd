package config

import "slices"

// Route says what happens to the requests it matches. It has one of pool,
// redirect and respond.
type Route struct {
	// For logs; empty: its number.
	Name string `yaml:"name"`
	// Which requests; empty: all.
	Match Match `yaml:"match"`
	// Pass the request on to this pool.
	Pool string `yaml:"pool"`
	// Send the client elsewhere.
	Redirect *Redirect `yaml:"redirect"`
	// Answer at once.
	Respond *Respond `yaml:"respond"`
	// Take this off the front of the path, before it is passed on, in its
	// normal form.
	StripPrefix string `yaml:"strip_prefix"`
	// Replace the host of the request, before it is passed on.
	Host string `yaml:"host"`
	// Edit the header of the request. In values to set and to add, words in
	// braces stand for parts of it: those of `redirect.to`, and `{method}`,
	// `{scheme}`, `{listener}`, `{client}` (its address), `{client_port}`,
	// `{sni}`, `{tls_version}`, `{tls_client}` (the subject of its certificate)
	// and `{transport}` (`mptcp` or `tcp`). A field with nothing to say is left
	// out.
	Request HeaderEdit `yaml:"request"`
	// Edit the header of the response.
	Response HeaderEdit `yaml:"response"`
	// Replaces that of `timeouts`; 0: it does not.
	ResponseHeaderTimeout Duration `yaml:"response_header_timeout"`
	// Replaces that of `limits`; 0: it does not.
	BodySize Size `yaml:"body_size"`
}

// Match is a condition. All that is said has to fit; of each list, one.
type Match struct {
	// Names of listeners.
	Listener []string `yaml:"listener"`
	// Hosts, without port: `example.org`, or `*.example.org` for all below it.
	Host []string `yaml:"host"`
	// Paths: `/login` for itself, `/api/*` for all below it. They are compared
	// in their normal form: `/x/../%61pi//y` is `/api/y`.
	Path []string `yaml:"path"`
	// Methods. CONNECT opens tunnels, and is taken by no route that does not
	// name it here.
	Method []string `yaml:"method"`
	// Header fields with their values. `*` stands for any text, so `*` alone
	// asks for the field to be there.
	Header map[string]string `yaml:"header"`
	// Names of the TLS handshake, like `host`. It is the only condition, with
	// `listener`, that mode `tcp` knows.
	SNI []string `yaml:"sni"`
	// Addresses of clients.
	Client []Prefix `yaml:"client"`
}

// Redirect sends the client elsewhere.
type Redirect struct {
	// Where. `{host}`, `{path}`, `{query}` and `{uri}` stand for the parts of
	// the request.
	To string `yaml:"to"`
	// 301, 302, 303, 307 or 308.
	Status int `yaml:"status"`
}

// Respond answers at once.
type Respond struct {
	// The status code.
	Status int `yaml:"status"`
	// The body.
	Body string `yaml:"body"`
	// Its type.
	ContentType string `yaml:"content_type"`
}

// HeaderEdit changes header fields. First fields are removed, then set, then
// added.
type HeaderEdit struct {
	// Fields to take out. `x-internal-*` stands for all that begin so.
	Remove []string `yaml:"remove"`
	// Fields to set, in place of those that are there.
	Set map[string]string `yaml:"set"`
	// Fields to add to those that are there.
	Add map[string]string `yaml:"add"`
}

// Empty says whether nothing is changed.
func (e HeaderEdit) Empty() bool { return len(e.Remove)+len(e.Set)+len(e.Add) == 0 }

func isWord(s string, words []string) bool { return slices.Contains(words, s) }

// isToken says whether s may be the name of a header field or a method (RFC 9110
// section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case slices.Contains([]byte("!#$%&'*+-.^_`|~"), c):
		default:
			return false
		}
	}
	return s != ""
}

// isFieldValue says whether s may be the value of a header field (RFC 9110
// section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return len(s) == 0 || s[0] != ' ' && s[0] != '\t' && s[len(s)-1] != ' ' && s[len(s)-1] != '\t'
}
