package get

import (
	"time"

	"github.com/braid-mptcp/braid"
)

// Report is how a download went; as JSON it is what `braid get --json` prints.
type Report struct {
	URL            string        `json:"url"`
	File           string        `json:"file,omitempty"`
	Complete       bool          `json:"complete"`
	Error          string        `json:"error,omitempty"`
	Kept           string        `json:"kept,omitempty"` // name of the partial file, after a failure
	KeptBytes      int64         `json:"kept_bytes,omitempty"`
	Useless        bool          `json:"-"`            // what is kept is not the file's beginning
	Size           int64         `json:"size"`         // of the file; -1: not known
	Received       int64         `json:"bytes"`        // received this time
	ResumedFrom    int64         `json:"resumed_from"` // bytes there before
	Seconds        float64       `json:"seconds"`      // to the last byte
	GoodputMbps    float64       `json:"goodput_mbps"`
	FirstByteMS    float64       `json:"first_byte_ms"`
	LongestStallMS float64       `json:"longest_stall_ms"` // between two arrivals
	Attempts       int           `json:"attempts"`
	SHA256         string        `json:"sha256,omitempty"`
	SHA256OK       *bool         `json:"sha256_ok,omitempty"`
	Stack          string        `json:"stack"`
	Multipath      bool          `json:"multipath"`
	MPTCPVersion   int           `json:"mptcp_version"` // -1: plain TCP
	FallbackReason string        `json:"fallback_reason,omitempty"`
	Paths          []PathReport  `json:"paths"`
	Events         []EventReport `json:"events"`
}

// PathReport is what one path did.
type PathReport struct {
	Name     string           `json:"name"`  // interface of this host
	Bytes    uint64           `json:"bytes"` // received, what came twice included
	Share    float64          `json:"share"`
	RTTMS    float64          `json:"rtt_ms"`
	Backup   bool             `json:"backup"`
	Subflows []SubflowAddress `json:"subflows"`
}

// SubflowAddress says between which addresses a subflow was.
type SubflowAddress struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// EventReport is an Event in JSON.
type EventReport struct {
	Seconds float64 `json:"seconds"`
	Path    string  `json:"path,omitempty"`
	Event   string  `json:"event"`
}

func (g *download) report(resumed int64) Report {
	totals := g.meter.totals()
	info, _ := g.meter.info()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.arrival
	rep := Report{
		URL: g.cfg.URL, File: g.cfg.Output, Size: g.size, Received: a.received, ResumedFrom: resumed,
		Seconds: a.last.Seconds(), FirstByteMS: milliseconds(a.first), LongestStallMS: milliseconds(a.stall),
		Attempts: g.attempts, Stack: braid.KindOf(g.cfg.Network).String(),
		Multipath: info.Multipath, MPTCPVersion: -1,
		Paths: []PathReport{}, Events: []EventReport{},
	}
	if rep.Seconds > 0 {
		rep.GoodputMbps = float64(a.received) * 8 / rep.Seconds / 1e6
	}
	if info.Multipath {
		rep.MPTCPVersion = info.Version
	} else if info.Fallback != 0 {
		rep.FallbackReason = info.Fallback.String()
	}
	var all uint64
	for _, t := range totals {
		all += t.received
	}
	for _, t := range totals {
		p := PathReport{Name: t.name, Bytes: t.received, Share: float64(t.received) / float64(max(all, 1)),
			RTTMS: milliseconds(t.rtt), Backup: t.backup}
		for i := 0; i < len(t.addresses); i += 2 {
			p.Subflows = append(p.Subflows, SubflowAddress{t.addresses[i].String(), t.addresses[i+1].String()})
		}
		rep.Paths = append(rep.Paths, p)
	}
	for _, e := range g.events {
		rep.Events = append(rep.Events, EventReport{e.At.Seconds(), e.Path, e.What})
	}
	return rep
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
