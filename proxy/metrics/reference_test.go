package metrics

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const referenceFile = "../../docs/metrics.md"

// TestReference holds docs/metrics.md to the metrics there are.
func TestReference(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/metrics.md is not what the code says; run go test ./proxy/metrics -update")
	}
}

func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Metrics of `braid proxy`\n\n")
	b.WriteString("<!-- Written by `go test ./proxy/metrics -update` from proxy/metrics/names.go. -->\n\n")
	b.WriteString("`metrics` in the configuration says where they are served for Prometheus, or by default under `/metrics` of the\n" +
		"administrator's address. Histograms have buckets at 1, 2 and 5 of each decade from 50 µs to 50 s. Beside these there are\n" +
		"`go_*` and `process_*`, those of every Go program.\n\n" +
		"What happens on paths is read from the connections at each scrape, and once more when a connection ends.\n")
	used := make(map[string]bool)
	for _, section := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", section)
		for _, m := range all {
			if m.section != section {
				continue
			}
			names := make([]string, len(m.labels))
			for i, l := range m.labels {
				used[l] = true
				names[i] = "`" + l + "`"
				if labels[l] == "" {
					t.Errorf("%s: nothing is said of label %s", m.name, l)
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kindOf, strings.Join(names, ", "), m.help)
		}
	}
	b.WriteString("\n## Labels\n\n| label | meaning |\n|---|---|\n")
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		if !used[l] {
			t.Errorf("label %s is not in use", l)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", l, labels[l])
	}
	b.WriteString(examples)
	return b.String()
}

const examples = `
## Questions one asks

` + "```" + `promql
# Share of new connections that speak Multipath TCP
rate(braid_connections_mptcp_total[5m]) / rate(braid_connections_total[5m])
# Throughput to clients on each path, in bit/s
sum by (path) (rate(braid_path_bytes_total{direction="out"}[1m])) * 8
# Why connections are plain TCP
sum by (reason) (rate(braid_fallbacks_total[5m]))
# Share of requests that needed no new connection to a server
rate(braid_pool_connections_reused_total[5m]) / (rate(braid_pool_connections_reused_total[5m]) + rate(braid_pool_connections_opened_total[5m]))
# 99th percentile of latency by pool
histogram_quantile(0.99, sum by (pool, le) (rate(braid_request_duration_seconds_bucket[5m])))
# Share of requests answered with 5xx, or not at all
sum(rate(braid_requests_total{code=~"5xx|none"}[5m])) / sum(rate(braid_requests_total[5m]))
# Pools without a server in service
sum by (pool) (braid_backend_state{state=~"up|warming"}) == 0
` + "```" + `
`
