package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/internal/tally"
)

// sampleTime is how often a connection is asked how its subflows do, so that
// the log knows of those that have ended.
const sampleTime = time.Second

// session is one client and its connection to the service.
type session struct {
	s       *Server
	client  Conn
	service Conn // nil until dialled
	began   time.Time
	tally   tally.Tally

	mu      sync.Mutex
	aborted error // why it was broken off from here
}

var (
	errShutdown = errors.New("server shut down")
	errIdle     = errors.New("idle for too long")
)

func (ses *session) run() {
	service, err := ses.dial()
	if err != nil {
		abort(ses.client) // the service refuses, and so do we
		ses.sample()
		ses.client.Close()
		ses.s.cfg.Log.Warn("service does not answer", "client", ses.client.RemoteAddr().String(), "error", err.Error())
		return
	}
	ses.mu.Lock()
	ses.service = service
	aborted := ses.aborted
	ses.mu.Unlock()
	if aborted != nil {
		ses.breakOff(aborted)
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { ses.watch(stop) })
	there, back := pipe(ses.client, service, ses.sample)
	close(stop)
	watch.Wait()
	ses.log(there, back)
}

// dial connects to the service and introduces the client.
func (ses *session) dial() (Conn, error) {
	cfg := &ses.s.cfg
	ctx, cancel := context.WithTimeout(ses.s.ctx, cfg.DialTimeout)
	defer cancel()
	c, err := cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	service, ok := c.(Conn)
	if !ok {
		panic(fmt.Sprintf("BUG: a connection of type %T cannot be half-closed", c))
	}
	if cfg.ProxyProtocol == 0 {
		return service, nil
	}
	h := proxyproto.HeaderProxyFromAddrs(byte(cfg.ProxyProtocol), ses.client.RemoteAddr(), ses.client.LocalAddr())
	service.SetWriteDeadline(time.Now().Add(cfg.DialTimeout))
	if _, err := h.WriteTo(service); err != nil {
		service.Close()
		return nil, fmt.Errorf("PROXY protocol: %w", err)
	}
	service.SetWriteDeadline(time.Time{})
	return service, nil
}

// sample looks at the client's connection.
func (ses *session) sample() {
	if info, ok := braid.InfoOf(ses.client); ok {
		ses.tally.Note(info)
	}
}

// watch samples the connection now and then, and ends it when it is idle.
func (ses *session) watch(stop <-chan struct{}) {
	every, idle := sampleTime, ses.s.cfg.IdleTimeout
	if idle > 0 {
		every = min(every, max(idle/4, time.Millisecond))
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, since := uint64(0), time.Now()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			ses.sample()
			if n := ses.tally.Bytes(); n != last {
				last, since = n, now
			} else if idle > 0 && now.Sub(since) >= idle {
				ses.breakOff(errIdle)
				return
			}
		}
	}
}

// abort breaks the session off.
func (ses *session) abort() { ses.breakOff(errShutdown) }

func (ses *session) breakOff(why error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.aborted == nil {
		ses.aborted = why
	}
	past := time.Unix(1, 0)
	ses.client.SetDeadline(past)
	if ses.service != nil {
		ses.service.SetDeadline(past)
	}
}
