package balance

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"
)

// Times of DNS.
const (
	DefaultDNSInterval = 30 * time.Second
	dnsTimeout         = 10 * time.Second // of one resolution
	dnsRetry           = time.Second      // after a failure, doubling up to the interval
)

// DNS is a Source that resolves a name, again and again. Each address is a
// backend. A resolution that fails, or finds nothing, leaves the last list in
// force.
type DNS struct {
	// Name is resolved. With SRV it is the whole name of the record, such as
	// "_http._tcp.example.org".
	Name string
	// SRV asks for SRV records (RFC 2782), which bring ports, weights and
	// priorities with them, rather than for addresses.
	SRV bool
	// Port is that of the backends; without SRV.
	Port int
	// Network is "ip4" or "ip6" for one family alone; "": both.
	Network string
	// Interval is how often the name is resolved; 0: DefaultDNSInterval. The
	// system's resolver does not tell how long an answer holds.
	Interval time.Duration
	// Resolver; nil: net.DefaultResolver.
	Resolver *net.Resolver
}

// Run reports the list and its changes.
func (d DNS) Run(ctx context.Context, update func([]Backend, error)) {
	if d.Interval <= 0 {
		d.Interval = DefaultDNSInterval
	}
	if d.Resolver == nil {
		d.Resolver = net.DefaultResolver
	}
	var last []Backend
	retry := dnsRetry
	for {
		list, err := d.resolve(ctx)
		wait := d.Interval
		if err != nil {
			wait = min(retry, d.Interval)
			retry = min(2*retry, d.Interval)
			update(nil, err)
		} else {
			retry = dnsRetry
			if !slices.Equal(list, last) {
				update(list, nil)
				last = list
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (d DNS) resolve(ctx context.Context) ([]Backend, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	targets := []*net.SRV{{Target: d.Name, Port: uint16(d.Port)}}
	if d.SRV {
		var err error
		// Some of the records may be malformed; the others come with the
		// error, and half a list is worse than the last one.
		if _, targets, err = d.Resolver.LookupSRV(ctx, "", "", d.Name); err != nil {
			return nil, err
		}
	}
	var list []Backend
	for _, t := range targets {
		found, err := d.addresses(ctx, t)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	// Records come in any order, and two targets may share an address.
	slices.SortFunc(list, func(a, b Backend) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Priority, b.Priority))
	})
	list = slices.CompactFunc(list, func(a, b Backend) bool { return a.Name == b.Name })
	if len(list) == 0 {
		return nil, fmt.Errorf("balance: %s has no addresses", d.Name)
	}
	return list, nil
}

func (d DNS) addresses(ctx context.Context, t *net.SRV) ([]Backend, error) {
	network := cmp.Or(d.Network, "ip")
	addrs, err := d.Resolver.LookupNetIP(ctx, network, t.Target)
	if err != nil {
		return nil, err
	}
	list := make([]Backend, 0, len(addrs))
	for _, a := range addrs {
		address := net.JoinHostPort(a.Unmap().String(), strconv.Itoa(int(t.Port)))
		// Weight 0 means "hardly ever" in SRV records.
		list = append(list, Backend{Name: address, Address: address,
			Weight: max(int(t.Weight), 1), Priority: int(t.Priority)})
	}
	return list, nil
}
