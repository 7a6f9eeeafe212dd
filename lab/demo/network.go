package demo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/lab"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/pcap"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// network is a client and a server with a line between them for each path.
// Path number i has the addresses 10.0.i.1 (client) and 10.0.i.2 (server),
// counted from 1.
type network struct {
	emulator       *lab.Emulator
	lines          []*lab.Line
	client, server *host.Host
}

func clientAddr(path int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(path + 1), 1}) }
func serverAddr(path int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(path + 1), 2}) }

// pathOf is the inverse of clientAddr and serverAddr.
func pathOf(a netip.Addr) int { return int(a.As4()[2]) - 1 }

// watcher is told of the events of a host.
type watcher func(now time.Time, e stack.Event)

func newNetwork(cfg Config, client, server watcher) (*network, error) {
	n := &network{emulator: lab.NewEmulator(cfg.Seed)}
	n.client = host.New(host.Config{Stack: stackConfig(cfg.Seed, 1), Observe: client})
	n.server = host.New(host.Config{Stack: stackConfig(cfg.Seed, 2), Observe: server})
	for i, p := range cfg.Paths {
		line := n.emulator.AddLine(p.Name, p.config(), p.config())
		n.lines = append(n.lines, line)
		near, err := tapped(line.A(), cfg.Capture, p.Name)
		if err == nil {
			err = n.client.AddDevice(near, address(clientAddr(i), mptcp.EndpointSubflow))
		}
		if err == nil {
			err = n.server.AddDevice(line.B(), address(serverAddr(i), mptcp.EndpointSignal))
		}
		if err != nil {
			n.close()
			return nil, fmt.Errorf("demo: path %s: %w", p.Name, err)
		}
	}
	return n, nil
}

// tapped records what passes a device, if there is a capture to record to.
func tapped(dev link.Device, w *pcap.Writer, name string) (link.Device, error) {
	if w == nil {
		return dev, nil
	}
	i, err := w.Interface(name)
	if err != nil {
		return nil, err
	}
	return pcap.Tap(dev, i), nil
}

// Each path is a network of its own.
const prefixBits = 24

func address(a netip.Addr, flags mptcp.EndpointFlags) stack.Address {
	return stack.Address{Addr: a, Bits: prefixBits, Flags: flags}
}

// stackConfig makes keys and ports follow from the seed.
func stackConfig(seed, host uint64) stack.Config {
	return stack.Config{Rand: rand.New(rand.NewPCG(seed, host)).Uint64}
}

// line gives the line of that name.
func (n *network) line(name string) *lab.Line {
	for _, l := range n.lines {
		if l.Name() == name {
			return l
		}
	}
	panic("BUG: the plan was validated but names no line: " + name)
}

func (n *network) close() {
	n.client.Close()
	n.server.Close()
	n.emulator.Close()
}
