// Package metrics shows what is known of a running proxy to Prometheus.
//
// It counts nothing itself: when it is asked, it takes a Snapshot and translates
// it. docs/metrics.md lists what there is.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/braid-mptcp/braid/proxy/status"
)

// maxScrapes is how many scrapes may run at once: each looks at every
// connection.
const maxScrapes = 4

// Metrics are those of one proxy, in a registry of their own. Its methods may
// be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry
}

// New makes the metrics of a proxy, which is asked with each scrape.
func New(src status.Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		&collector{src},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})
}
