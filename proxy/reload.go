package proxy

import (
	"context"
	"reflect"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// Reload puts another configuration in force without ending a connection.
// Listeners that stay keep their sockets, new ones are bound before anything
// changes, and the connections of those that are gone end with their next
// response, or when timeouts.drain is over. With an error all is as before.
func (p *Proxy) Reload(ctx context.Context, c *config.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return http1.ErrClosed
	}
	before := p.config
	if err := p.apply(ctx, c); err != nil {
		return err
	}
	if !reflect.DeepEqual(before.Network, c.Network) {
		p.log.Warn("changes of network take effect with a restart")
	}
	for _, s := range p.sockets {
		p.start(s)
	}
	return nil
}
