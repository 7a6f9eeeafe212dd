package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/braid-mptcp/braid/internal/tally"
)

// log writes what became of a session: one line, with what Multipath TCP did.
func (ses *session) log(there, back result) {
	level := slog.LevelInfo
	info := ses.tally.Info()
	attrs := []any{
		"client", ses.client.RemoteAddr().String(),
		"local", ses.client.LocalAddr().String(),
		"service", ses.service.RemoteAddr().String(),
		"seconds", float64(time.Since(ses.began).Milliseconds()) / 1000,
		"from_client", there.bytes,
		"to_client", back.bytes,
		"end", ses.end(there, back),
		"multipath", info.Multipath,
	}
	if info.Multipath {
		attrs = append(attrs, "version", info.Version, "token", fmt.Sprintf("%08x", info.LocalToken), "checksum", info.Checksum)
	} else if reason := info.Fallback.String(); reason != "none" {
		attrs = append(attrs, "fallback", reason)
	}
	paths := ses.tally.Paths()
	attrs = append(attrs, "subflows", len(paths))
	for i, p := range paths {
		attrs = append(attrs, fmt.Sprintf("path%d", i+1), ses.s.describe(p))
	}
	ses.s.cfg.Log.Log(ses.s.ctx, level, "connection ended", attrs...)
}

// describe gives a path in a few words: addresses, bytes received and sent,
// and what was sent again.
func (s *Server) describe(p tally.Path) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s>%s", p.Remote, p.Local)
	if s.cfg.InterfaceOf != nil {
		if name := s.cfg.InterfaceOf(p.Local.Addr()); name != "" {
			fmt.Fprintf(&b, " dev %s", name)
		}
	}
	fmt.Fprintf(&b, " received %d sent %d", p.Received, p.Sent)
	if p.Retransmitted > 0 {
		fmt.Fprintf(&b, " retransmitted %d", p.Retransmitted)
	}
	if p.Reinjected > 0 {
		fmt.Fprintf(&b, " reinjected %d", p.Reinjected)
	}
	if p.RTT > 0 {
		fmt.Fprintf(&b, " rtt %.3gms", float64(p.RTT.Microseconds())/1000)
	}
	if p.Backup {
		b.WriteString(" backup")
	}
	return b.String()
}

// end says in a word or two how the session ended.
func (ses *session) end(there, back result) string {
	ses.mu.Lock()
	aborted := ses.aborted
	ses.mu.Unlock()
	if aborted != nil {
		return aborted.Error()
	}
	for _, r := range []result{there, back} {
		if r.err != nil && !isTimeout(r.err) { // a timeout is the other direction's grace
			return reason(r.err)
		}
	}
	return "closed"
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

// reason leaves the addresses out of an error, which are in the log already.
// Copying from socket to socket wraps errors in others of the kind; the
// innermost says what failed.
func reason(err error) string {
	text := err.Error()
	for op := (*net.OpError)(nil); errors.As(err, &op); err = op.Err {
		text = op.Op + ": " + op.Err.Error()
	}
	return text
}
