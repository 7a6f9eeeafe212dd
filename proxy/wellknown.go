package proxy

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/status"
)

// wellKnownPath is where clients ask whether they use Multipath TCP.
const wellKnownPath = "/.well-known/multipath"

// Answers, for people and for programs that look for them.
const (
	usingMPTCP    = "You are using MPTCP.\n"
	notUsingMPTCP = "You are not using MPTCP.\n"
)

// wellKnown tells clients about their connections.
type wellKnown struct{}

// wants says whether a request asks for it.
func (*wellKnown) wants(r *http1.Request) bool {
	path := r.Path()
	if len(path) < len(wellKnownPath) || string(path[:len(wellKnownPath)]) != wellKnownPath {
		return false
	}
	return (len(path) == len(wellKnownPath) || path[len(wellKnownPath)] == '?') &&
		(r.Method == http1.GET || r.Method == http1.HEAD)
}

// multipathFacts is the answer as JSON.
type multipathFacts struct {
	Multipath bool   `json:"multipath"`
	Version   int    `json:"version,omitempty"`  // of Multipath TCP
	Fallback  string `json:"fallback,omitempty"` // why not
	TLS       string `json:"tls,omitempty"`
	Protocol  string `json:"protocol,omitempty"`
	// Subflows are seen from here: local is this end.
	Subflows []subflowFacts `json:"subflows"`
}

type subflowFacts struct {
	Local    netip.AddrPort `json:"local"`
	Remote   netip.AddrPort `json:"remote"`
	State    string         `json:"state"`
	RTT      float64        `json:"rtt_seconds"`
	BytesIn  uint64         `json:"bytes_in"`
	BytesOut uint64         `json:"bytes_out"`
}

// answer answers a request.
func (*wellKnown) answer(x *http1.Exchange) error {
	edits := x.EditResponse()
	for _, f := range [][2]string{{"Cache-Control", "no-store"}, {"Vary", "Accept"}} {
		if err := edits.Set(f[0], f[1]); err != nil {
			return err
		}
	}
	c := x.ConnData.(*clientConn)
	if !wantsJSON(x.Request) {
		info, _ := braid.InfoOf(c.Conn)
		text := notUsingMPTCP
		if info.Multipath {
			text = usingMPTCP
		}
		x.Reply(200, "text/plain; charset=utf-8", []byte(text))
		return nil
	}
	b, err := json.MarshalIndent(c.multipathFacts(), "", "  ")
	if err != nil {
		return err
	}
	x.Reply(200, "application/json", append(b, '\n'))
	return nil
}

// wantsJSON says whether the details are asked for.
func wantsJSON(r *http1.Request) bool {
	if _, query, ok := bytes.Cut(r.Path(), []byte("?")); ok {
		for pair := range bytes.SplitSeq(query, []byte("&")) {
			if string(pair) == "format=json" {
				return true
			}
		}
	}
	accept, _ := r.Get("accept")
	return bytes.Contains(accept, []byte("application/json"))
}

// multipathFacts looks at the connection.
func (c *clientConn) multipathFacts() *multipathFacts {
	f := &multipathFacts{Protocol: c.protocolName(), Subflows: []subflowFacts{}}
	if t := c.tls.Load(); t != nil {
		f.TLS = t.version
	}
	account := c.account
	if account == nil {
		account = status.NewLedger(nil).Open(c.Conn, c.multipath)
	}
	account.Look(time.Now(), 0)
	var s status.Connection
	account.Describe(&s)
	f.Multipath, f.Fallback = s.Multipath, s.Fallback
	if info, ok := braid.InfoOf(c.Conn); ok && info.Multipath {
		f.Version = int(info.Version)
	}
	for i := range s.Paths {
		p := &s.Paths[i]
		f.Subflows = append(f.Subflows, subflowFacts{p.Local, p.Remote, p.Status(), p.RTT.Seconds(), p.BytesIn, p.BytesOut})
	}
	return f
}
