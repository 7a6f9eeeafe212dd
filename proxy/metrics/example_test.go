package metrics_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/proxy/metrics"
	"github.com/braid-mptcp/braid/proxy/status"
)

// running is a proxy, as far as status is concerned.
type running struct{ ledger *status.Ledger }

func (r running) Snapshot() status.Snapshot {
	return status.Snapshot{Time: time.Now(), Ready: true, Totals: r.ledger.Totals()}
}

func ExampleNew() {
	proxy := running{status.NewLedger(nil)}
	proxy.ledger.Series("web", "app").Add(&status.Request{Code: 200, Duration: time.Millisecond})

	answer := httptest.NewRecorder()
	metrics.New(proxy).Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "braid_requests_total") && strings.Contains(line, "2xx") {
			fmt.Print(line)
		}
	}
	// Output:
	// braid_requests_total{code="2xx",listener="web",pool="app"} 1
}
