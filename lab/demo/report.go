package demo

import (
	"encoding/hex"
	"time"
)

// Report is how a download went; as JSON it is what `braid demo --json`
// prints.
type Report struct {
	Bytes          int64         `json:"bytes"`
	Seconds        float64       `json:"seconds"` // from dialling to the last byte
	GoodputMbps    float64       `json:"goodput_mbps"`
	BeforeCutMbps  float64       `json:"goodput_before_cut_mbps,omitempty"`
	SHA256         string        `json:"sha256"`
	SHA256OK       bool          `json:"sha256_ok"`
	Fallback       bool          `json:"fallback"`
	FallbackReason string        `json:"fallback_reason,omitempty"`
	MPTCPVersion   int           `json:"mptcp_version"`
	LongestStallMS float64       `json:"longest_stall_ms"` // between two arrivals at the application
	FirstByteMS    float64       `json:"first_byte_ms"`
	BestSingleMbps float64       `json:"best_single_line_mbps"` // the rate of the fastest line
	SumMbps        float64       `json:"sum_of_lines_mbps"`
	Seed           uint64        `json:"seed"`
	Paths          []PathReport  `json:"paths"`
	Events         []EventReport `json:"events"`
}

// PathReport is what one path did.
type PathReport struct {
	Name            string  `json:"name"`
	RateMbps        float64 `json:"rate_mbps"` // of the line
	DelayMS         float64 `json:"delay_ms"`  // of the line, one way
	Loss            float64 `json:"loss"`
	Bytes           uint64  `json:"bytes"` // received by the client
	Share           float64 `json:"share"` // of all bytes received
	ReinjectedBytes uint64  `json:"reinjected_bytes"`
	ClientAddress   string  `json:"client_address"`
	ServerAddress   string  `json:"server_address"`
}

// EventReport is an Event in JSON.
type EventReport struct {
	Seconds float64 `json:"seconds"`
	Path    string  `json:"path,omitempty"`
	Event   What    `json:"event"`
}

func (r *run) report(sum []byte, ok bool) Report {
	sums := r.meter.totals()
	r.mu.Lock()
	a, cut, conns, events := r.arrival, r.firstCut, r.conns, r.events
	r.mu.Unlock()
	rep := Report{
		Bytes:          a.bytes,
		Seconds:        a.last.Seconds(),
		GoodputMbps:    a.mbps(),
		SHA256:         hex.EncodeToString(sum),
		SHA256OK:       ok,
		LongestStallMS: milliseconds(a.stall),
		FirstByteMS:    milliseconds(a.first),
		Seed:           r.cfg.Seed,
		MPTCPVersion:   -1, // unless there was one
	}
	if cut.bytes > 0 {
		rep.BeforeCutMbps = cut.mbps()
	}
	for _, c := range conns {
		info := c.Info()
		rep.Fallback = rep.Fallback || !info.Multipath
		if info.Multipath {
			rep.MPTCPVersion = info.Version
		} else {
			rep.FallbackReason = info.Fallback.String()
		}
	}
	var all uint64
	for _, t := range sums {
		all += t.received
	}
	for i, p := range r.cfg.Paths {
		rep.SumMbps += p.Rate / 1e6
		rep.BestSingleMbps = max(rep.BestSingleMbps, p.Rate/1e6)
		rep.Paths = append(rep.Paths, PathReport{
			Name: p.Name, RateMbps: p.Rate / 1e6, DelayMS: milliseconds(p.Delay), Loss: p.Loss,
			Bytes: sums[i].received, Share: float64(sums[i].received) / float64(max(all, 1)),
			ReinjectedBytes: sums[i].reinjected,
			ClientAddress:   clientAddr(i).String(), ServerAddress: serverAddr(i).String(),
		})
	}
	for _, e := range events {
		rep.Events = append(rep.Events, EventReport{e.At.Seconds(), e.Path, e.What})
	}
	return rep
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
