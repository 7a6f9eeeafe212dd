package admin

import (
	"fmt"
	"net/http"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/status"
)

// readyFor is how old an answer about readiness may be: load balancers ask
// often, and looking costs system calls.
const readyFor = 500 * time.Millisecond

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintln(w, "ok")
}

func (h *Handler) serveReady(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	snap := h.sampler.current(readyFor, false)
	if why := unready(snap); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// unready says why no clients should be sent here; "" if there is no reason.
func unready(s *status.Snapshot) string {
	switch {
	case s.Draining:
		return "draining"
	case !s.Ready:
		return "starting"
	}
	for i := range s.Pools {
		if !inService(&s.Pools[i]) {
			return fmt.Sprintf("pool %s has no server in service", s.Pools[i].Name)
		}
	}
	return ""
}

func inService(p *balance.PoolStats) bool {
	for i := range p.Members {
		if p.Members[i].State <= balance.Warming {
			return true
		}
	}
	return false
}
