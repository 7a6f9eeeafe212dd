package config

import (
	"reflect"
	"time"
)

// Every default of the file stands here. A setDefaults is called for each value
// of its type before anything is read into it.

const second = Duration(time.Second)

func (c *Config) setDefaults() {
	c.WellKnown = true
}

func (u *Uplinks) setDefaults() {
	u.Stack = StackAuto
}

func (t *Timeouts) setDefaults() {
	*t = Timeouts{
		TLSHandshake:   10 * second,
		ProxyHeader:    5 * second,
		RequestHeader:  10 * second,
		RequestBody:    30 * second,
		KeepAlive:      60 * second,
		ResponseHeader: 60 * second,
		ResponseBody:   60 * second,
		Write:          60 * second,
		Request:        0,
		Tunnel:         Duration(time.Hour),
		Drain:          30 * second,
	}
}

func (l *Limits) setDefaults() {
	*l = Limits{
		HeaderSize:   16 << 10,
		HeaderFields: 100,
		TargetSize:   8 << 10,
		HTTP2Streams: 128,
		HTTP2Resets:  100,
	}
}

func (f *Forwarded) setDefaults() {
	f.XForwardedFor = ForwardedAppend
	f.XForwardedProto = ForwardedSet
	f.XForwardedHost = ForwardedSet
	f.Forwarded = ForwardedRemove
}

func (l *Log) setDefaults() {
	l.Level = "info"
	l.Format = "text"
	l.Output = "stderr"
}

func (l *AccessLog) setDefaults() {
	l.Format = AccessOff
	l.Output = "stdout"
}

func (m *Metrics) setDefaults() {
	m.Enabled = true
	m.Path = "/metrics"
}

// fresh makes a value with its defaults.
func fresh[T any]() *T {
	v := new(T)
	prepare(reflect.ValueOf(v).Elem())
	return v
}

// setRequired puts in the profiles that are always there.
func (c *Config) setRequired() {
	if c.Pools == nil {
		c.Pools = make(map[string]*Pool)
	}
	if c.TCPProfiles == nil {
		c.TCPProfiles = make(map[string]*TCPProfile)
	}
	if c.TCPProfiles[DefaultProfile] == nil {
		c.TCPProfiles[DefaultProfile] = fresh[TCPProfile]()
	}
	if c.OneConnect == nil {
		c.OneConnect = make(map[string]*OneConnect)
	}
	if c.OneConnect[DefaultProfile] == nil {
		c.OneConnect[DefaultProfile] = fresh[OneConnect]()
	}
	for _, l := range c.Listeners {
		if l.Name == "" && len(l.Address) > 0 {
			l.Name = l.Address[0].String()
		}
	}
	for _, p := range c.Pools {
		for i := range p.Backends {
			if b := &p.Backends[i]; b.Name == "" {
				b.Name = b.Address.String()
			}
		}
	}
}

// DefaultProfile is the name of the profiles that are always there.
const DefaultProfile = "default"

func (l *Listener) setDefaults() {
	l.Mode = ModeHTTP
	l.HTTP2 = true
	l.DeferAccept = true
	l.TCP = DefaultProfile
}

func (t *ServerTLS) setDefaults() {
	t.MinVersion = "1.2"
	t.ClientAuth = ClientAuthNone
}

func (a *ACME) setDefaults() {
	a.Cache = "acme"
}

func (a *AcceptProxy) setDefaults() {
	a.Version = ProxyAny
}

func (p *TCPProfile) setDefaults() {
	p.SACK = true
	p.KeepAlive = 120 * second
	p.KeepAliveInterval = 15 * second
	p.KeepAliveCount = 4
	p.IdleTimeout = 300 * second
}

func (p *Pool) setDefaults() {
	p.Policy = PolicyRoundRobin
	p.Hash = HashKey{Kind: "client"}
	p.TableSize = 65537
	p.SendProxy = ProxyOff
	p.TCP = DefaultProfile
	p.OneConnect = DefaultProfile
	p.QueueTimeout = 10 * second
	p.ConnectTimeout = 5 * second
	p.ConnectRetries = 2
}

func (r *Retry) setDefaults() {
	r.Attempts = 1
	r.Ratio = 0.2
	r.PerSecond = 10
}

func (b *Backend) setDefaults() {
	b.Weight = 1
}

func (f *BackendFile) setDefaults() {
	f.Interval = second
}

func (d *BackendDNS) setDefaults() {
	d.Family = "any"
	d.Interval = 30 * second
}

func (a *Affinity) setDefaults() {
	a.Cookie = "braid"
	a.Path = "/"
	a.SameSite = "lax"
}

func (t *ClientTLS) setDefaults() {
	t.Verify = true
	t.MinVersion = "1.2"
}

func (c *Check) setDefaults() {
	c.Type = CheckTCP
	c.Interval = 5 * second
	c.Timeout = 2 * second
	c.Rise = 2
	c.Fall = 3
	c.Method = "GET"
	c.Path = "/"
	c.Status = []StatusRange{{200, 399}}
}

func (e *Ejection) setDefaults() {
	e.Failures = 5
	e.Status = []StatusRange{{500, 599}}
	e.Time = 30 * second
	e.MaxTime = 300 * second
	e.MaxShare = 0.5
}

func (o *OneConnect) setDefaults() {
	o.HTTPReuse = ReuseSafe
	o.MaxSize = 10000
	o.MaxAge = 86400 * second
	o.MaxReuse = 1000
	o.IdleTimeoutOverride = IdleDisabled
	o.LimitType = LimitNone
}

func (r *Redirect) setDefaults() {
	r.Status = 308
}

func (r *Respond) setDefaults() {
	r.Status = 200
	r.ContentType = "text/plain; charset=utf-8"
}

// Default gives what a file without any key means, and with it, so that there is
// something to start from, a listener, a route and a pool with a server.
func Default() *Config {
	c, listener, pool, backend := fresh[Config](), fresh[Listener](), fresh[Pool](), fresh[Backend]()
	listener.Name = "web"
	listener.Address = []Address{{Network: NetworkMPTCP, Port: 8080}}
	backend.Address = Address{Host: "127.0.0.1", Port: 3000}
	pool.Backends = []Backend{*backend}
	c.Listeners = []*Listener{listener}
	c.Routes = []*Route{{Name: "all", Pool: "web"}}
	c.Pools = map[string]*Pool{"web": pool}
	c.setRequired()
	return c
}
