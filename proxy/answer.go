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
	to     template
}

func newRedirect(c *config.Redirect) *redirect {
	return &redirect{
		status: c.Status, to: newTemplate(c.To),
		body: []byte(strconv.Itoa(c.Status) + " " + http.StatusText(c.Status) + "\n"),
	}
}

// answer answers a request.
func (r *redirect) answer(req *request) error {
	x := req.x
	to := r.to.append(nil, req)
	// A target that begins with two slashes names another host.
	if bytes.HasPrefix(to, []byte("//")) && !strings.HasPrefix(r.to[0].text, "//") {
		to = append([]byte{'/'}, bytes.TrimLeft(to, "/")...)
	}
	if err := x.EditResponse().Set("Location", string(to)); err != nil {
		return http1.ErrTarget
	}
	x.Reply(r.status, "text/plain; charset=utf-8", r.body)
	return nil
}
