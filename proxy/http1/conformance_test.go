package http1

import (
	"testing"

	"github.com/braid-mptcp/braid/proxy/internal/conformance"
)

func TestConformance(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		conformance.Run(t, func(t *testing.T, server string) string {
			return start(t, server, nil).addr
		})
	})
	if n := len(conformance.Cases()); n < 60 {
		t.Errorf("%d cases, want at least 60", n)
	}
}
