package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/link/pcap"
)

// Config says what to download over what.
type Config struct {
	Size  int64 // bytes
	Paths []Path
	Plan  []Change
	Seed  uint64 // of the file, the keys and the lines' faults
	// Capture, if set, gets every packet at the client's end, with one
	// interface for each path.
	Capture *pcap.Writer
	// Progress, if set, is called every Interval, and Happened with each
	// event since, all by one goroutine.
	Interval time.Duration
	Progress func(Snapshot)
	Happened func(Event)
}

// The most paths: their numbers are a byte of their addresses.
const maxPaths = 16

// Validate reports the first mistake in a Config.
func (c *Config) Validate() error {
	if c.Size <= 0 {
		return errors.New("the size must be more than 0 bytes")
	}
	if len(c.Paths) == 0 || len(c.Paths) > maxPaths {
		return fmt.Errorf("%d paths; from 1 to %d will do", len(c.Paths), maxPaths)
	}
	seen := make(map[string]bool)
	for _, p := range c.Paths {
		if seen[p.Name] {
			return fmt.Errorf("two paths are called %q", p.Name)
		}
		seen[p.Name] = true
	}
	return validatePlan(c.Paths, c.Plan)
}

// port is where the server listens. It is none that readers of captures take
// for HTTP: they look at each subflow alone, where the pieces of a file that
// begin in the middle are no HTTP.
const port = 8000

// patience is how long the download may stand still before Run gives up.
const patience = 60 * time.Second

// ErrStalled is returned when no byte has arrived for a minute.
var ErrStalled = errors.New("demo: no byte has arrived for a minute")

// Run downloads the file. It returns early when ctx is done.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	r := newRun(cfg)
	n, err := newNetwork(cfg, r.meter.watchClient, r.meter.watchServer)
	if err != nil {
		return Report{}, err
	}
	defer n.close()
	r.network = n

	stopServer, err := r.serve()
	if err != nil {
		return Report{}, err
	}
	defer stopServer()
	stopTicker := r.startTicker()
	sum, err := r.download(ctx)
	stopTicker()
	if err != nil {
		return Report{}, err
	}
	want, err := content{cfg.Seed, cfg.Size}.sum()
	if err != nil {
		return Report{}, err
	}
	return r.report(sum, bytes.Equal(sum, want)), nil
}

// run is one download.
type run struct {
	cfg     Config
	network *network
	meter   *meter
	file    content
	plan    *scheduler

	// mu is taken with a host's lock held, so that nothing may be asked of a
	// connection while holding it.
	mu       sync.Mutex
	conns    []*host.Conn // of the client
	serving  []*host.Conn
	arrival  arrivals
	down     map[string]bool
	firstCut arrivals // as they stood then; its time is last
	events   []Event
	lastShot Snapshot
}

func newRun(cfg Config) *run {
	r := &run{cfg: cfg, file: content{cfg.Seed, cfg.Size}, plan: newScheduler(cfg.Plan), down: make(map[string]bool)}
	r.meter = newMeter(len(cfg.Paths), r.happened)
	return r
}

// serve starts the file server.
func (r *run) serve() (stop func(), err error) {
	l, err := r.network.server.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: http.FileServerFS(r.file),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			r.keep(&r.serving, c)
			return ctx
		},
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) }) // ends with ErrServerClosed
	return func() {
		server.Close()
		wg.Wait()
	}, nil
}

// keep remembers a connection, to ask it for its Info.
func (r *run) keep(list *[]*host.Conn, c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, c.(*host.Conn))
}

// download fetches the file and returns its hash.
func (r *run) download(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(patience, func() { cancel(ErrStalled) })
	defer watchdog.Stop()

	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := r.network.client.DialContext(ctx, network, address)
			if err == nil {
				r.keep(&r.conns, c)
			}
			return c, err
		},
	}
	defer transport.CloseIdleConnections()
	url := fmt.Sprintf("http://%v:%d/%s", serverAddr(0), port, fileName)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	sum, err := r.fetch(&http.Client{Transport: transport}, request, func() { watchdog.Reset(patience) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return sum, err
}

// fetch reads the response, calling alive whenever bytes arrive.
func (r *run) fetch(client *http.Client, request *http.Request, alive func()) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("demo: the server says %s", response.Status)
	}
	h := sha256.New()
	sink := &sink{run: r, hash: h, alive: alive}
	n, err := io.CopyBuffer(sink, response.Body, make([]byte, 64<<10))
	if err == nil && n != r.cfg.Size {
		err = io.ErrUnexpectedEOF
	}
	// The last Info while the connection still stands.
	r.look()
	return h.Sum(nil), err
}

// sink takes the bytes of the file as the client's application.
type sink struct {
	run   *run
	hash  hash.Hash
	alive func()
}

func (s *sink) Write(b []byte) (int, error) {
	s.alive()
	s.run.arrived(time.Since(s.run.meter.began), len(b))
	return s.hash.Write(b)
}

// arrived notes the arrival of n bytes, and makes the changes that were
// planned for this moment.
func (r *run) arrived(at time.Duration, n int) {
	r.mu.Lock()
	r.arrival.add(at, n)
	share := float64(r.arrival.bytes) / float64(r.cfg.Size)
	changes := r.plan.due(at, share)
	r.mu.Unlock()
	r.make(at, changes)
}

// make cuts and restores lines.
func (r *run) make(at time.Duration, changes []Change) {
	for _, c := range changes {
		line, what := r.network.line(c.Path), Cut
		if c.Up {
			line.Up()
			what = Restored
		} else {
			line.Down()
		}
		r.mu.Lock()
		r.down[c.Path] = !c.Up
		if !c.Up && r.firstCut.bytes == 0 {
			r.firstCut = r.arrival
		}
		r.mu.Unlock()
		r.happened(Event{At: at, path: r.pathNumber(c.Path), What: what})
	}
}

func (r *run) pathNumber(name string) int {
	for i, p := range r.cfg.Paths {
		if p.Name == name {
			return i
		}
	}
	return -1
}

// happened records an event. It may be called with a host's lock held, so that
// Happened is called by the ticker, not from here.
func (r *run) happened(e Event) {
	if e.path >= 0 {
		e.Path = r.cfg.Paths[e.path].Name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}
