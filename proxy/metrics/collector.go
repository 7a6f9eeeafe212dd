package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/status"
)

// collector translates Snapshots.
type collector struct{ src status.Source }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	snap := c.src.Snapshot()
	out := output{ch}
	out.process(&snap)
	out.connections(&snap)
	out.paths(&snap)
	for i := range snap.Totals.Requests {
		out.requests(&snap.Totals.Requests[i])
	}
	for i := range snap.Pools {
		out.pool(&snap.Pools[i])
	}
}

// output takes values.
type output struct{ ch chan<- prometheus.Metric }

func (o output) value(m *metric, v float64, labels ...string) {
	o.ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
}

func (o output) count(m *metric, n uint64, labels ...string) { o.value(m, float64(n), labels...) }

func (o output) flag(m *metric, is bool, labels ...string) {
	if is {
		o.value(m, 1, labels...)
	} else {
		o.value(m, 0, labels...)
	}
}

func (o output) histogram(m *metric, h *status.Histogram, labels ...string) {
	o.ch <- prometheus.MustNewConstHistogram(m.desc, h.Count(), h.Sum.Seconds(), bucketsOf(h), labels...)
}

// bucketsOf gives those bounds of h that begin with 1, 2 or 5, which is what
// Prometheus gets: half of them.
func bucketsOf(h *status.Histogram) map[float64]uint64 {
	b := make(map[float64]uint64, len(status.Bounds))
	seen := uint64(0)
	for i, bound := range status.Bounds {
		seen += h.Counts[i]
		first := bound
		for first >= 10 {
			first /= 10
		}
		if (first == 1 || first == 2 || first == 5) && isRound(bound) {
			b[bound.Seconds()] = seen
		}
	}
	return b
}

// isRound leaves out 15 and the like.
func isRound(d time.Duration) bool {
	for d%10 == 0 {
		d /= 10
	}
	return d < 10
}

func (o output) process(s *status.Snapshot) {
	o.value(buildInfo, 1, s.Version, s.Stack)
	o.flag(ready, s.Ready)
	o.flag(draining, s.Draining)
	o.value(startTime, unixSeconds(s.Started))
	o.value(configTime, unixSeconds(s.ConfigLoaded))
	for word, n := range s.Totals.Reloads {
		o.count(reloads, n, word)
	}
	o.count(accessLines, s.Totals.AccessLog.Lines)
	o.count(accessLost, s.Totals.AccessLog.Lost)
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

func (o output) connections(s *status.Snapshot) {
	t := &s.Totals
	for i := range s.Listeners {
		l := &s.Listeners[i]
		o.value(listenerOpen, float64(l.Open), l.Name)
		o.value(listenerAccepted, float64(l.Accepted), l.Name)
	}
	// Totals are read while connections come and go, so a difference may be a
	// little off, but it must not wrap.
	multi := t.Multipath - min(t.Multipath, t.MultipathClosed)
	open := t.Connections - min(t.Connections, t.Closed)
	o.count(connectionsOpen, multi, "mptcp")
	o.count(connectionsOpen, open-min(open, multi), "tcp")
	o.count(connectionsTotal, t.Connections)
	o.count(multipathTotal, t.Multipath)
	for word, n := range t.Refused {
		o.count(refused, n, word)
	}
	for word, n := range t.Fallbacks {
		o.count(fallbacks, n, word)
	}
	for word, n := range t.Joins {
		o.count(joins, n, word)
	}
	o.count(reinjectedAll, t.Reinjected)
	o.count(malformed, t.Malformed)
	o.count(retries, t.Retries)
	o.count(tunnels, t.Tunnels)
}

// paths shows what happened on each path, and how its subflows do now.
func (o output) paths(s *status.Snapshot) {
	for i := range s.Totals.Paths {
		p := &s.Totals.Paths[i]
		o.protocol(p.Name, "mptcp", &p.Multipath)
		o.protocol(p.Name, "tcp", &p.Plain)
		o.count(reinjected, p.Multipath.Reinjected, p.Name)
	}
	s.SumPaths()
	for i := range s.Paths {
		p := &s.Paths[i]
		for _, word := range status.Statuses {
			o.value(subflowsNow, float64(p.Subflows[word]), p.Name, word)
		}
		if p.RTTMax > 0 {
			o.value(rtt, p.RTTMin.Seconds(), p.Name, "min")
			o.value(rtt, p.RTTMedian.Seconds(), p.Name, "median")
			o.value(rtt, p.RTTMax.Seconds(), p.Name, "max")
		}
	}
}

func (o output) protocol(path, protocol string, t *status.ProtocolTotals) {
	o.count(subflows, t.Subflows, path, protocol)
	o.count(pathBytes, t.BytesIn, path, protocol, "in")
	o.count(pathBytes, t.BytesOut, path, protocol, "out")
	o.count(retransmittedBytes, t.Retransmitted, path, protocol)
	o.count(retransmitted, t.Retransmissions, path, protocol)
}

var codeClasses = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func (o output) requests(r *status.RequestTotals) {
	for i, word := range codeClasses {
		o.count(requests, r.Codes[i], r.Listener, r.Pool, word)
	}
	o.count(requestBytes, r.BytesIn, r.Listener, r.Pool)
	o.count(responseBytes, r.BytesOut, r.Listener, r.Pool)
	o.histogram(duration, &r.Duration, r.Listener, r.Pool)
	if r.Pool == "" {
		return
	}
	o.histogram(wait, &r.Wait, r.Listener, r.Pool)
	o.histogram(connect, &r.Connect, r.Listener, r.Pool)
}

func (o output) pool(p *balance.PoolStats) {
	o.value(poolConns, float64(p.Conns.InUse), p.Name, "in_use")
	o.value(poolConns, float64(p.Conns.Idle), p.Name, "idle")
	o.count(poolOpened, p.Conns.Opened, p.Name)
	o.count(poolReused, p.Conns.Reused, p.Name)
	for i, n := range p.Conns.Closed {
		o.count(poolClosed, n, p.Name, balance.CloseReason(i).String())
	}
	o.value(poolReuse, p.Conns.ReuseRatio(), p.Name)
	o.value(queueLength, float64(p.Pending), p.Name)
	o.count(queueFull, p.QueueFull, p.Name)
	o.count(queueTimeouts, p.TimedOut, p.Name)
	o.count(budgetAllowed, p.Retries, p.Name)
	o.count(budgetRefused, p.Refused, p.Name)
	members := slices.Clone(p.Members)
	slices.SortFunc(members, func(a, b balance.MemberStats) int { return cmp.Compare(a.Name, b.Name) })
	for i := range members {
		o.backend(p.Name, &members[i])
	}
}

var backendStates = [...]balance.State{balance.Up, balance.Warming, balance.Draining, balance.Ejected, balance.Down}

func (o output) backend(pool string, m *balance.MemberStats) {
	for _, s := range backendStates {
		o.flag(backendState, m.State == s, pool, m.Name, s.String())
	}
	o.value(backendWeight, float64(m.Weight), pool, m.Name)
	o.value(backendActive, float64(m.Active), pool, m.Name)
	o.count(backendRequests, m.Requests, pool, m.Name)
	o.count(backendFailures, m.Failures, pool, m.Name)
	o.value(backendConns, float64(m.Conns.InUse), pool, m.Name, "in_use")
	o.value(backendConns, float64(m.Conns.Idle), pool, m.Name, "idle")
	o.count(backendOpened, m.Conns.Opened, pool, m.Name)
	o.count(backendReused, m.Conns.Reused, pool, m.Name)
}
