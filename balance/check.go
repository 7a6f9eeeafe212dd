package balance

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Check tests each backend from time to time: active health. The first result
// decides at once; afterwards Rise successes or Fall failures in a row do.
type Check struct {
	Type     CheckType
	Interval time.Duration // between the ends and the beginnings of checks; 0: 5 s
	Timeout  time.Duration // of one check; 0: 2 s
	Rise     int           // 0: 2
	Fall     int           // 0: 3
	// Port replaces that of the backend, if not 0.
	Port int

	// For CheckHTTP. The request goes over Config.Prepare like any other.
	Method string        // "": GET
	Path   string        // "": "/"
	Host   string        // "": the backend's address
	Status []StatusRange // those that are well; nil: 200 to 399
	// TLS is for CheckTLS; nil: any certificate will do, since the check is
	// about whether the server answers.
	TLS *tls.Config
}

// CheckType is what a Check does.
type CheckType uint8

// Types of checks.
const (
	CheckTCP  CheckType = iota // open a connection
	CheckTLS                   // and shake hands
	CheckHTTP                  // send a request and look at the status
)

var checkTypeNames = [...]string{"tcp", "tls", "http"}

// String is the type's word in configurations.
func (t CheckType) String() string { return nameOf(checkTypeNames[:], "check type", uint8(t)) }

// StatusRange is a range of HTTP status codes, with its ends.
type StatusRange struct{ From, To int }

func (c Check) normal() (Check, error) {
	switch {
	case int(c.Type) >= len(checkTypeNames):
		return c, fmt.Errorf("%w: %v", ErrConfig, c.Type)
	case c.Interval < 0 || c.Timeout < 0 || c.Rise < 0 || c.Fall < 0:
		return c, fmt.Errorf("%w: check with a negative number", ErrConfig)
	case c.Port < 0 || c.Port > 65535:
		return c, fmt.Errorf("%w: check of port %d", ErrConfig, c.Port)
	}
	if c.Interval == 0 {
		c.Interval = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Rise == 0 {
		c.Rise = 2
	}
	if c.Fall == 0 {
		c.Fall = 3
	}
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Status == nil {
		c.Status = []StatusRange{{200, 399}}
	}
	if _, err := http.NewRequest(c.Method, "http://backend"+c.Path, nil); err != nil {
		return c, fmt.Errorf("%w: check: %v", ErrConfig, err)
	}
	return c, nil
}

// checkState is what checks say of a member.
type checkState uint8

const (
	checkUnknown checkState = iota // counts as well
	checkPassing
	checkFailing
)

// startCheck begins to check m; the pool's lock is held.
func (p *Pool) startCheck(m *Member) {
	if p.cfg.Check == nil {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	m.stopCheck = cancel
	p.work.Go(func() { p.runChecks(ctx, m) })
}

func (p *Pool) runChecks(ctx context.Context, m *Member) {
	// Each member begins somewhere else in the interval, so that checks do
	// not come in volleys; the first is made at once.
	interval := p.cfg.Check.Interval
	wait := time.Duration(mix(p.cfg.Seed^HashKey(m.Name())) % uint64(interval))
	for {
		err := p.check(ctx, m)
		if ctx.Err() != nil {
			return
		}
		p.checked(m, err)
		select {
		case <-time.After(interval/2 + wait/2):
		case <-ctx.Done():
			return
		}
		wait = interval
	}
}

// checked takes note of a result.
func (p *Pool) checked(m *Member, err error) {
	state, needed, why := checkPassing, p.cfg.Check.Rise, "check passed"
	if err != nil {
		state, needed, why = checkFailing, p.cfg.Check.Fall, "check failed: "+err.Error()
		m.noteFailure(err)
	}
	p.mu.Lock()
	var changes []Change
	m.streak++
	switch {
	case m.checked == state:
		m.streak = 0
	case m.checked == checkUnknown || m.streak >= needed:
		m.checked, m.streak = state, 0
		changes = p.refresh(why)
	}
	p.mu.Unlock()
	p.notify(changes)
}

// check makes one check; nil: the backend is well.
func (p *Pool) check(ctx context.Context, m *Member) error {
	cfg := p.cfg.Check
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	spec := *m.spec.Load()
	conn, err := p.cfg.Dial(ctx, spec.Network, cfg.addressOf(spec))
	if err != nil {
		return err
	}
	defer conn.Close()
	// Whatever ends ctx ends reading and writing.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })
	defer stop()
	switch cfg.Type {
	case CheckTLS:
		return checkTLS(ctx, conn, cfg.TLS, spec)
	case CheckHTTP:
		if p.cfg.Prepare != nil {
			prepared, err := p.cfg.Prepare(ctx, conn, spec, nil)
			if err != nil {
				return err
			}
			conn = prepared
		}
		return checkHTTP(conn, cfg, spec)
	}
	return nil
}

// addressOf gives the address to check.
func (c *Check) addressOf(b Backend) string {
	host, _, err := net.SplitHostPort(b.Address)
	if err != nil || c.Port == 0 {
		return b.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// hostOf gives the name under which a backend is spoken to when there is no
// better one.
func hostOf(b Backend) string {
	if host, _, err := net.SplitHostPort(b.Address); err == nil {
		return host
	}
	return "localhost"
}

func checkTLS(ctx context.Context, conn net.Conn, cfg *tls.Config, b Backend) error {
	if cfg == nil {
		cfg = &tls.Config{InsecureSkipVerify: true}
	}
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = hostOf(b)
	}
	return tls.Client(conn, cfg).HandshakeContext(ctx)
}

// maxCheckResponse bounds what is read of a response.
const maxCheckResponse = 64 << 10

func checkHTTP(conn net.Conn, cfg *Check, b Backend) error {
	host := b.Address
	if b.Network == "unix" {
		host = hostOf(b)
	}
	target, err := url.Parse("http://" + host + cfg.Path)
	if err != nil {
		return err
	}
	req := &http.Request{
		Method: cfg.Method, URL: target, Host: cfg.Host, Close: true,
		Header: http.Header{"User-Agent": {"braid-check"}},
	}
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxCheckResponse)), req)
	if err != nil {
		return err
	}
	// The body is left alone: the connection is closed anyway.
	for _, r := range cfg.Status {
		if resp.StatusCode >= r.From && resp.StatusCode <= r.To {
			return nil
		}
	}
	return errors.New("status " + resp.Status)
}
