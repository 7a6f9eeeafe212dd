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
// to servers. Connections of mode tcp are passed on by package passthrough.
//
// # Configuration and reload
//
// A configuration is made ready as a plan, of which nothing is in force: routes
// are compiled, certificates read, addresses bound that are new. Then it is put
// in force at one moment, for the next request on each connection. So a reload
// either happens or leaves all as it was, and ends no connection. What it finds
// superfluous comes to its end by itself within timeouts.drain: listeners that
// are gone, and pools to which requests may be on their way.
//
// # Limitations
//
// Changes of network, and of the TCP profile of an address that stays, take
// effect with a restart, and so do the first addresses of Multipath TCP; the log
// says so. A request goes again only while it is in its buffer whole, that is
// with a body that fits in limits.header_size. Certificates are chosen by SNI,
// and requests are routed by their host, whatever the SNI was, unless a route
// asks for both. Clients on Unix sockets have no address: no route that asks for
// one takes them, and servers are told of none.
package proxy
