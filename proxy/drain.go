package proxy

import "context"

// drain waits until all connections have come to their end.
func (p *Proxy) drain(ctx context.Context) error {
	p.conns.end()
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
