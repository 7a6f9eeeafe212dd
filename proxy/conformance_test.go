package proxy

import (
	"testing"

	"github.com/braid-mptcp/braid/proxy/internal/conformance"
)

// TestConformance runs the cases against the whole proxy.
func TestConformance(t *testing.T) {
	for name, reuse := range map[string]string{"always": "always", "safe": "safe"} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T, server string) string {
				return start(t, `
					listeners: {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
					network: {single_path: true}
					forwarded: {x_forwarded_for: keep, x_forwarded_proto: keep, x_forwarded_host: keep, forwarded: keep}
					limits: {header_fields: 128}
					oneconnect: {default: {http_reuse: `+reuse+`}}
					pools:
					  web: {backends: ['`+server+`'], retry: {attempts: 0}}`).addr
			})
		})
	}
}
