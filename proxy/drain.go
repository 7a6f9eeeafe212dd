package proxy

import (
	"context"
	"sync"

	"github.com/braid-mptcp/braid/config"
)

// drain waits until all connections have come to their end.
func (p *Proxy) drain(ctx context.Context) error {
	var ending sync.WaitGroup
	for _, l := range p.state.Load().listeners {
		if l.mode == config.ModeHTTP {
			l.frontend.Drain()
			ending.Go(func() { l.http2.Shutdown(ctx) })
		}
		// In mode tcp it ends when both sides have said all they have to say.
	}
	ending.Wait()
	p.gate.drained(ctx) // the engine takes nothing any more, once it is told
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.engine.Shutdown(ctx)
}
