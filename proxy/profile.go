package proxy

import (
	"reflect"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/config"
)

// networks are the network with the settings of a TCP profile.
type networks struct {
	multipath braid.Network
	plain     braid.Network // TCP without multipath
	options   braid.Options
}

// networksOf gives the networks of a profile. What they do not offer is said
// once in the life of the Proxy for each place.
func (p *Proxy) networksOf(next *plan, name string) networks {
	c, network := next.config, next.network.Network
	o := optionsOf(c.TCPProfiles[name])
	at := c.At("tcp_profiles." + name).String()
	missing := func(feature string) {
		p.sayOnce("not offered by this stack", "tcp_profile", name, "feature", feature, "at", at)
	}
	n := networks{multipath: braid.WithOptions(network, o, missing), options: o}
	o.Disabled = true
	n.plain = braid.WithOptions(network, o, missing)
	return n
}

// schedulers by their words.
var schedulers = map[config.Scheduler]braid.Scheduler{
	config.SchedulerDefault: braid.SchedulerDefault, config.SchedulerRoundRobin: braid.SchedulerRoundRobin,
	config.SchedulerRedundant: braid.SchedulerRedundant,
}

// optionsOf turns a profile into options of connections.
func optionsOf(profile *config.TCPProfile) braid.Options {
	o := braid.Options{
		Checksum: profile.Checksum, SendBuffer: int(profile.SendBuffer), RecvBuffer: int(profile.ReceiveBuffer),
		MaxSubflows: profile.MaxSubflows, Scheduler: schedulers[profile.Scheduler],
	}
	o.TCP.NoSACK = !profile.SACK
	o.TCP.Nagle = profile.Nagle
	o.TCP.CongestionControl = profile.CongestionControl
	o.TCP.UserTimeout = profile.UserTimeout.D()
	o.TCP.KeepAlive.Idle = profile.KeepAlive.D()
	o.TCP.KeepAlive.Interval = profile.KeepAliveInterval.D()
	o.TCP.KeepAlive.Count = profile.KeepAliveCount
	return o
}

// adapt gives connections to come at an address that stays the TCP profile as it
// is now. Sockets that were handed over keep what they came with.
func (p *Proxy) adapt(s *socket, l *config.Listener, n networks) {
	if network := s.address.Network; network == config.NetworkFD || network == config.NetworkUnix || reflect.DeepEqual(s.options, n.options) {
		return
	}
	s.options = n.options
	o := n.options
	o.Disabled = !listenNetwork(s.address).Multipath()
	if err := braid.SetOptions(s.Listener, o); err != nil {
		p.log.Warn("a part of the TCP profile takes effect at this address with a restart",
			"listener", l.Name, "address", s.address.String(), "tcp_profile", l.TCP, "error", err)
	}
}

// sayOnce warns of something, unless it has been said.
func (p *Proxy) sayOnce(message string, attributes ...string) {
	key := message
	var args []any
	for _, a := range attributes {
		key += "\x00" + a
		args = append(args, a)
	}
	if _, said := p.said.LoadOrStore(key, true); !said {
		p.log.Warn(message, args...)
	}
}
