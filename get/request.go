package get

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ask requests what is not there yet. The answer's body is what comes at the
// target's offset, which ask may have set back to 0, with the reason in why.
// complete says that everything is there already.
func (g *download) ask(ctx context.Context) (resp *http.Response, complete bool, why string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.cfg.URL, nil)
	if err != nil {
		return nil, false, "", fmt.Errorf("%w: %w", ErrURL, err)
	}
	req.Header.Set("User-Agent", g.cfg.UserAgent)
	// The bytes of a compressed answer are not those of the file, and cannot be
	// counted by ranges.
	req.Header.Set("Accept-Encoding", "identity")
	t := g.target
	if t.offset > 0 {
		if v := t.origin.validator(); v != "" {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.offset))
			req.Header.Set("If-Range", v)
		} else if err := t.reset(); err != nil {
			return nil, false, "", err
		} else {
			why = "the server gave it neither a strong ETag nor a modification time"
		}
	}
	asked := t.offset
	if resp, err = g.client.Do(req); err != nil {
		return nil, false, why, err
	}
	complete, again, err := g.judge(resp)
	if asked > 0 && t.offset == 0 {
		why = again
	}
	if err != nil || complete {
		resp.Body.Close()
	}
	return resp, complete, why, err
}

// judge finds out what the answer brings, and begins the target anew where it
// brings the whole file though a part was asked for; why says why.
func (g *download) judge(resp *http.Response) (complete bool, why string, err error) {
	t := g.target
	switch resp.StatusCode {
	case http.StatusOK:
		if t.offset > 0 {
			why = "the server sends the whole file"
			if o := originOf(resp, g.cfg.URL); o.validator() != t.origin.validator() {
				why = "the file has changed at the server"
			}
		}
		return false, why, t.begin(originOf(resp, g.cfg.URL))
	case http.StatusPartialContent:
		first, size, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err != nil || first != t.offset || t.origin == nil || t.origin.Size >= 0 && size >= 0 && size != t.origin.Size {
			// Not what was asked for: ask for the whole.
			err := t.reset()
			if err == nil {
				err = fmt.Errorf("the server sends %q: %w", resp.Header.Get("Content-Range"), errAgain)
			}
			return false, "the server sends another part than asked for", err
		}
		if size >= 0 {
			t.origin.Size = size
		}
		return false, "", nil
	case http.StatusRequestedRangeNotSatisfiable:
		// All is there, or more than the file has now.
		_, size, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err == nil && t.offset > 0 && size == t.offset && (t.origin.Size < 0 || t.origin.Size == size) {
			return true, "", nil
		}
		if t.offset > 0 {
			if err := t.reset(); err != nil {
				return false, "", err
			}
			return false, "the file has changed at the server", fmt.Errorf("the part asked for is not there: %w", errAgain)
		}
	}
	return false, "", &StatusError{Code: resp.StatusCode, Status: resp.Status}
}

// errAgain: nothing has failed, but one has to ask once more.
var errAgain = errors.New("asking anew")

// originOf is what the answer says the file is.
func originOf(resp *http.Response, url string) *origin {
	return &origin{
		URL:          url,
		ETag:         resp.Header.Get("ETag"),
		LastModified: resp.Header.Get("Last-Modified"),
		Date:         resp.Header.Get("Date"),
		Size:         resp.ContentLength,
	}
}

// parseContentRange reads "bytes 100-199/1000": the first byte, or -1 in
// "bytes */1000", and the size of the whole, or -1 in "bytes 100-199/*".
func parseContentRange(text string) (first, size int64, err error) {
	bad := func() (int64, int64, error) { return -1, -1, fmt.Errorf("the server sends Content-Range %q", text) }
	rest, ok := strings.CutPrefix(text, "bytes ")
	if !ok {
		return bad()
	}
	span, whole, ok := strings.Cut(rest, "/")
	if !ok {
		return bad()
	}
	first, size = -1, -1
	if whole != "*" {
		if size, err = strconv.ParseInt(whole, 10, 64); err != nil || size < 0 {
			return bad()
		}
	}
	if span == "*" {
		return first, size, nil
	}
	from, to, ok := strings.Cut(span, "-")
	if !ok {
		return bad()
	}
	first, err = strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err != nil || err2 != nil || first < 0 || last < first || size >= 0 && last >= size {
		return bad()
	}
	return first, size, nil
}
