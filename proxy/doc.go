// Package proxy is braid's reverse proxy: it accepts connections as the
// configuration says, over Multipath TCP or plain TCP, with TLS or without,
// finds the pool of servers for each request, and forwards it.
//
// A Proxy is made by New, which binds the addresses, and serves with Serve:
//
//	p, err := proxy.New(ctx, proxy.Options{Config: c, Logger: log})
//	if err != nil {
//		return err // nothing is left behind
//	}
//	go func() { <-stop; p.Shutdown(ctx) }()
//	return p.Serve()
//
// Requests travel on one path whatever they came by: package http1 forwards
// them, HTTP/2 brings its streams to it, package balance lends the connections
// to servers.
package proxy
