// Package admin is the administrator's web page and the API it lives on: what a
// running proxy does, drawn from its status.
//
//	GET  /              the page
//	GET  /api/status    a status.Snapshot as JSON; see Handler for parameters
//	GET  /api/history   the points of the plots
//	GET  /api/features  what this address offers
//	POST /api/drain     {"pool": "web", "backend": "a", "drain": true}
//	POST /api/reload    load the configuration again
//	GET  /healthz       200 while the process serves
//	GET  /readyz        200 while clients are served and every pool has a server
//	GET  /metrics       for Prometheus
//	GET  /debug/pprof/  profiles, if they are switched on
//
// Whoever reaches the address may see and do all of this, so it belongs on a
// loopback address or an administrators' network. What a web page of somebody
// else could do with an administrator's browser is ruled out: on a loopback
// address only requests to an IP address or to localhost are answered (DNS
// rebinding), changes have to come from the page itself, and the page runs no
// script and shows no picture but its own. What clients of the proxy say is
// shown as text, never as HTML.
//
// # Limitations
//
// Plots live in memory: they begin with the process, and resolve five seconds
// for times in which nobody looked.
package admin
