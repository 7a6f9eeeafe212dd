package http1

import (
	"testing"

	"github.com/braid-mptcp/braid/proxy/internal/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T, server string) string {
		return startProxy(t, server, nil).addr
	})
	if n := len(conformance.Cases()); n < 60 {
		t.Errorf("%d cases, want at least 60", n)
	}
}
