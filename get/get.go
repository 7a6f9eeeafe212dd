package get

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
)

// Config says what to download, and how. URL and Network are needed, and Output
// or Stream.
type Config struct {
	URL     string
	Network braid.Network
	Output  string    // name of the file
	Stream  io.Writer // takes the bytes instead of a file
	// Hash asks for the file's SHA-256; SHA256 is the expected one in hex.
	Hash   bool
	SHA256 string
	// Restart forgets what an earlier download left.
	Restart bool
	// Retries is how many attempts in a row may fail without bringing
	// anything, after a first one that did; 0: none may.
	Retries int
	// Stall is how long nothing may arrive before a connection is given up; 0:
	// for ever.
	Stall     time.Duration
	UserAgent string

	// Interval is the time between calls of Progress, 0.1 s at least; Happened
	// is told what happened in between. One goroutine calls both.
	Interval time.Duration
	Progress func(Snapshot)
	Happened func(Event)
}

// FileName is the name of the file that a URL means, or "" if it has none.
func FileName(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" || name == ".." || strings.ContainsAny(name, "\x00/\\") {
		return ""
	}
	return name
}

// Check finds mistakes in a Config.
func (cfg *Config) Check() error {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrURL, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: %q does not begin with http:// or https://", ErrURL, cfg.URL)
	case u.Hostname() == "":
		return fmt.Errorf("%w: %q has no host", ErrURL, cfg.URL)
	}
	if b, err := hex.DecodeString(cfg.SHA256); cfg.SHA256 != "" && (err != nil || len(b) != sha256.Size) {
		return fmt.Errorf("%q is no SHA-256: want 64 hexadecimal digits", cfg.SHA256)
	}
	return nil
}

// download is one call of Run.
type download struct {
	cfg    Config
	client *http.Client
	target *target
	began  time.Time
	meter  *meter

	mu       sync.Mutex
	arrival  arrivals
	size     int64 // of the file; -1: not known
	events   []Event
	attempts int
}

// Run downloads the file. The Report tells of a failed download too: what was
// kept, and where.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Check(); err != nil {
		return Report{}, err
	}
	g := &download{cfg: cfg, began: time.Now(), size: -1}
	g.meter = newMeter(cfg.Network, g.tell)
	transport := &http.Transport{
		Proxy:              http.ProxyFromEnvironment,
		DialContext:        g.meter.dial,
		DisableCompression: true,
		ReadBufferSize:     copySize,
		// HTTP/2 would put its own window around the file.
		ForceAttemptHTTP2: false,
	}
	defer transport.CloseIdleConnections()
	g.client = &http.Client{Transport: transport}
	rep, err := g.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		rep.Error = err.Error()
	}
	return rep, err
}

func (g *download) run(ctx context.Context) (Report, error) {
	var sum hash.Hash
	if g.cfg.Hash || g.cfg.SHA256 != "" {
		sum = sha256.New()
	}
	var why string
	var err error
	g.target, why, err = openTarget(g.cfg.Output, g.cfg.Stream, g.cfg.URL, g.cfg.Restart, sum)
	if err != nil {
		return g.report(0), err
	}
	if why != "" {
		g.tell("", "not resumed: "+why)
	}
	resumed := g.target.offset
	if resumed > 0 {
		g.tell("", fmt.Sprintf("resumed after %d bytes", resumed))
		g.size = g.target.origin.Size
	}
	g.arrival.bytes = resumed
	stopTicker := g.startTicker()
	err = g.fetchAll(ctx)
	stopTicker()
	if g.arrival.restarted {
		resumed = 0
	}
	rep := g.report(resumed)
	if err != nil {
		rep.Kept, rep.KeptBytes = g.target.leave(), g.target.offset
		return rep, err
	}
	rep.Complete = true
	if sum != nil {
		rep.SHA256 = hex.EncodeToString(sum.Sum(nil))
		if g.cfg.SHA256 != "" {
			ok := strings.EqualFold(rep.SHA256, g.cfg.SHA256)
			rep.SHA256OK = &ok
			if !ok {
				rep.Complete, rep.Useless = false, true
				g.target.forget()
				rep.Kept, rep.KeptBytes = g.target.leave(), g.target.offset
				return rep, ErrHash
			}
		}
	}
	if err := g.target.finish(); err != nil {
		rep.Kept, rep.KeptBytes = g.target.leave(), g.target.offset
		return rep, err
	}
	return rep, nil
}

// pauseAfter is the wait after so many failed attempts in a row. A connection
// that brought something and then broke is made again at once.
func pauseAfter(failures int, progress bool) time.Duration {
	const first, longest = 500 * time.Millisecond, 15 * time.Second
	if progress {
		return 0
	}
	return min(first<<min(failures-1, 5), longest)
}

func when(pause time.Duration) string {
	if pause == 0 {
		return "at once"
	}
	return "in " + pause.String()
}

// fetchAll asks until the whole file is there.
func (g *download) fetchAll(ctx context.Context) error {
	failures, asked := 0, false // asked: once more without a range
	for {
		before := g.target.offset
		done, err := g.attempt(ctx)
		if done || ctx.Err() != nil {
			return err
		}
		progress := g.target.offset > before
		if progress {
			failures, asked = 0, false
		}
		if errors.Is(err, errAgain) && !asked {
			asked = true
			continue
		}
		failures++
		if permanent(err) || failures > g.cfg.Retries || g.arrival.nothing() && !isStatus(err) {
			return err
		}
		pause := pauseAfter(failures, progress)
		g.tell("", fmt.Sprintf("tried again %s: %v", when(pause), err))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func isStatus(err error) bool {
	var status *StatusError
	return errors.As(err, &status)
}

// copySize is how much is read at once.
const copySize = 256 << 10

// attempt makes one request and takes what it brings. done says that it is all,
// or that it is over.
func (g *download) attempt(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := func() {}
	if g.cfg.Stall > 0 {
		watchdog := time.AfterFunc(g.cfg.Stall, func() { cancel(fmt.Errorf("%w for %v", ErrStalled, g.cfg.Stall)) })
		defer watchdog.Stop()
		alive = func() { watchdog.Reset(g.cfg.Stall) }
	}
	g.mu.Lock()
	g.attempts++
	g.mu.Unlock()
	resp, complete, why, err := g.ask(ctx)
	if why != "" {
		g.restarted(why)
	}
	if err == nil && !complete {
		err = g.take(resp, alive)
	}
	g.meter.look()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return err == nil, err
}

// take writes the body of an answer.
func (g *download) take(resp *http.Response, alive func()) error {
	defer resp.Body.Close()
	g.mu.Lock()
	g.size = g.target.origin.Size
	g.mu.Unlock()
	buf := make([]byte, copySize)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			alive()
			g.arrived(n)
			if _, err := g.target.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			if size := g.target.origin.Size; size >= 0 && g.target.offset != size {
				return io.ErrUnexpectedEOF
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// restarted notes that bytes are downloaded once more.
func (g *download) restarted(why string) {
	g.tell("", "begun anew: "+why)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrival.bytes, g.arrival.restarted = 0, true
}

func (g *download) arrived(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrival.add(time.Since(g.began), n)
}
