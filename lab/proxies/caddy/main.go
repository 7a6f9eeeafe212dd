// Command caddy is Caddy with what a reverse proxy needs, for the comparison in
// lab/proxies. It is a module of its own so that Braid's go.mod names nothing
// that only a measurement wants; lab/proxies builds it when it is run.
package main

import (
	_ "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
)

func main() { caddycmd.Main() }
