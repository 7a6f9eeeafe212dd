package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/relay"
)

// serveCmd is `braid serve`.
type serveCmd struct {
	Listen        []string      `required:"" placeholder:"ADDRESS" help:"Where clients connect to: mptcp@:2222, with one of the prefixes mptcp@ mptcp4@ mptcp6@ tcp@ tcp4@ tcp6@; without one, mptcp@. Repeat for more."`
	To            string        `required:"" placeholder:"ADDRESS" help:"The service: 127.0.0.1:22; with one of the prefixes, without one tcp@."`
	ProxyProtocol string        `enum:"none,v1,v2" default:"none" help:"Tell the service who its client is, by version v1 or v2 of the PROXY protocol."`
	MaxConns      int           `default:"0" placeholder:"N" help:"Serve so many clients at once, let others wait; 0: no limit."`
	DialTimeout   time.Duration `default:"10s" help:"How long the service may take to accept (${default})."`
	IdleTimeout   time.Duration `default:"0" help:"End connections on which nothing passes for so long; 0: never."`
	Linger        time.Duration `default:"5m" help:"How long a connection without any path is kept (${default})."`
	Drain         time.Duration `default:"30s" help:"How long connections may go on after SIGTERM or SIGINT (${default}); 0: until they end, or a second signal."`
	Log           string        `enum:"text,json" default:"text" help:"Format of the log on standard error: text or json."`

	networkFlags

	listen []relay.Address
	to     relay.Address
}

// Help is the rest of what --help prints.
func (*serveCmd) Help() string {
	return `Puts Multipath TCP in front of a TCP service. Clients without Multipath TCP are
served as well. When a connection ends, a line of the log says what each of its
paths did.

  braid serve --listen mptcp@:2222 --to 127.0.0.1:22

Exit codes: 0 after SIGTERM or SIGINT when all connections came to their end, 1
when something failed, 2 for a mistake in the usage, 3 when connections were
broken off.`
}

// Validate is called by the parser.
func (s *serveCmd) Validate() error {
	s.listen = nil
	for _, text := range s.Listen {
		a, err := relay.ParseAddress(text, true)
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		s.listen = append(s.listen, a)
	}
	var err error
	if s.to, err = relay.ParseAddress(s.To, false); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if s.MaxConns < 0 || s.DialTimeout <= 0 || s.IdleTimeout < 0 || s.Linger <= 0 || s.Drain < 0 {
		return errors.New("limits and times cannot be negative, nor --dial-timeout and --linger 0")
	}
	return s.networkFlags.Validate()
}

// Run implements the command.
func (s *serveCmd) Run(ctx context.Context, con console) error {
	var handler slog.Handler = slog.NewTextHandler(con.err, nil)
	if s.Log == "json" {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	log := slog.New(handler)
	n, err := s.network(ctx, log)
	if err != nil {
		return err
	}
	err = s.serve(ctx, n, log)
	if closeErr := n.Close(); err == nil {
		err = closeErr
	}
	return err
}

// network opens the network that clients come by, if any do by Multipath TCP.
func (s *serveCmd) network(ctx context.Context, log *slog.Logger) (braid.Network, error) {
	cfg := s.cfg
	cfg.Connections.KeepWithoutSubflow = s.Linger
	cfg.Flags = kernel.FlagSignal
	if s.to.Multipath {
		cfg.Flags |= kernel.FlagSubflow
	}
	cfg.Warn = func(message string) { log.Warn(message) }
	multipath := s.to.Multipath
	for _, a := range s.listen {
		multipath = multipath || a.Multipath
	}
	if !multipath {
		cfg.Kind = braid.Plain
	}
	return braid.Open(ctx, cfg)
}

func (s *serveCmd) serve(ctx context.Context, n braid.Network, log *slog.Logger) error {
	server := relay.NewServer(relay.Config{
		Dial:          s.dial(n),
		DialTimeout:   s.DialTimeout,
		ProxyProtocol: map[string]int{"v1": 1, "v2": 2}[s.ProxyProtocol],
		MaxConns:      s.MaxConns,
		IdleTimeout:   s.IdleTimeout,
		Log:           log,
		InterfaceOf:   func(a netip.Addr) string { return braid.InterfaceOf(n, a) },
	})
	listeners, err := s.listenAll(n)
	if err != nil {
		return err
	}
	failed := make(chan error, len(listeners))
	for i, l := range listeners {
		log.Info("listening", "at", s.listen[i].String(), "address", l.Addr().String(), "stack", braid.KindOf(n).String(), "to", s.to.String())
		go func() { failed <- server.Serve(l) }()
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	drainErr := s.drain(server, log)
	if err != nil && !errors.Is(err, relay.ErrServerClosed) {
		return err
	}
	return drainErr
}

func (s *serveCmd) listenAll(n braid.Network) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, a := range s.listen {
		listen := n.Listen
		if !a.Multipath {
			listen = func(network, address string) (net.Listener, error) {
				var lc net.ListenConfig
				lc.SetMultipathTCP(false)
				return lc.Listen(context.Background(), network, address)
			}
		}
		l, err := listen(a.Network, a.Address)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (s *serveCmd) dial(n braid.Network) func(context.Context) (net.Conn, error) {
	if s.to.Multipath {
		return func(ctx context.Context) (net.Conn, error) { return n.DialContext(ctx, s.to.Network, s.to.Address) }
	}
	var d net.Dialer
	d.SetMultipathTCP(false)
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, s.to.Network, s.to.Address) }
}

// drain lets connections come to their end, for so long or until a second
// signal.
func (s *serveCmd) drain(server *relay.Server, log *slog.Logger) error {
	if n := server.Conns(); n > 0 {
		log.Info("draining", "connections", n, "at_most", s.Drain.String())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.Drain > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Drain)
		defer cancel()
	}
	if err := server.Shutdown(ctx); err != nil {
		return exitError{errors.New("connections were broken off"), exitBroken}
	}
	return nil
}
