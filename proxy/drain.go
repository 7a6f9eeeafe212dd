package proxy

import (
	"context"

	"github.com/braid-mptcp/braid/config"
)

// drain waits until all connections have come to their end.
func (p *Proxy) drain(ctx context.Context) error {
	p.conns.end()
	for _, l := range p.state.Load().listeners {
		if l.mode == config.ModeTCP {
			continue // it ends when both sides have said all they have to say
		}
		l.frontend.Drain()
	}
	if err := p.engine.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-p.conns.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
