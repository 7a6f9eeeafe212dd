package proxy

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// answer answers a request of a route that has no pool.
func (to *route) answer(req *request) error {
	if to.redirect != nil {
		return to.redirect.answer(req)
	}
	req.x.Reply(to.respond.Status, to.respond.ContentType, to.body)
	return nil
}

// redirect sends clients elsewhere.
type redirect struct {
	status int
	body   []byte
	parts  []redirectPart
}

// redirectPart is text, or what stands for a part of the request.
type redirectPart struct {
	text string
	what string // "host", "path", "query", "uri"; "": text
}

// newRedirect takes the target apart. What is in braces and is none of ours
// stays as it is.
func newRedirect(c *config.Redirect) *redirect {
	r := &redirect{status: c.Status}
	r.body = []byte(strconv.Itoa(c.Status) + " " + http.StatusText(c.Status) + "\n")
	rest := c.To
	for rest != "" {
		at, what := len(rest), ""
		for _, name := range []string{"host", "path", "query", "uri"} {
			if i := strings.Index(rest, "{"+name+"}"); i >= 0 && i < at {
				at, what = i, name
			}
		}
		if at > 0 {
			r.parts = append(r.parts, redirectPart{text: rest[:at]})
		}
		rest = rest[at:]
		if what != "" {
			r.parts = append(r.parts, redirectPart{what: what})
			rest = rest[len(what)+2:]
		}
	}
	return r
}

// answer answers a request.
func (r *redirect) answer(req *request) error {
	x := req.x
	var to []byte
	for _, p := range r.parts {
		switch p.what {
		case "":
			to = append(to, p.text...)
		case "host":
			to = appendHost(to, x.Request.Authority())
		case "path":
			to = append(to, req.rawPath...)
		case "query":
			if full := x.Request.Path(); len(full) > len(req.rawPath) {
				to = append(to, full[len(req.rawPath)+1:]...)
			}
		case "uri":
			to = append(to, x.Request.Path()...)
		}
	}
	// A target that begins with two slashes names another host.
	if bytes.HasPrefix(to, []byte("//")) && !strings.HasPrefix(r.parts[0].text, "//") {
		to = append([]byte{'/'}, bytes.TrimLeft(to, "/")...)
	}
	if err := x.EditResponse().Set("Location", string(to)); err != nil {
		return http1.ErrTarget
	}
	x.Reply(r.status, "text/plain; charset=utf-8", r.body)
	return nil
}
