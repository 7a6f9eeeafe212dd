package admin

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/proxy/status"
)

// query chooses among connections.
type query struct {
	limit    int // -1: all
	offset   int
	less     func(a, b *status.Connection) int
	down     bool
	words    []string // in lower case
	protocol string
}

var orders = map[string]func(a, b *status.Connection) int{
	"id": func(a, b *status.Connection) int { return cmp.Compare(a.ID, b.ID) },
	"client": func(a, b *status.Connection) int {
		return a.Client.Compare(b.Client)
	},
	"listener": func(a, b *status.Connection) int { return strings.Compare(a.Listener, b.Listener) },
	"requests": func(a, b *status.Connection) int { return cmp.Compare(a.Requests, b.Requests) },
	"rate":     func(a, b *status.Connection) int { return cmp.Compare(a.InRate+a.OutRate, b.InRate+b.OutRate) },
	"out":      func(a, b *status.Connection) int { return cmp.Compare(a.OutRate, b.OutRate) },
	"in":       func(a, b *status.Connection) int { return cmp.Compare(a.InRate, b.InRate) },
	"bytes":    func(a, b *status.Connection) int { return cmp.Compare(carried(a), carried(b)) },
	"subflows": func(a, b *status.Connection) int { return cmp.Compare(up(a), up(b)) },
	"rtt":      func(a, b *status.Connection) int { return cmp.Compare(lowestRTT(a), lowestRTT(b)) },
}

// carried is what passed over the connection. The proxy's count lags behind
// while a request lasts, and the paths' may have missed something.
func carried(c *status.Connection) uint64 {
	sum := uint64(0)
	for i := range c.Paths {
		sum += c.Paths[i].BytesIn + c.Paths[i].BytesOut
	}
	return max(sum, uint64(c.BytesIn+c.BytesOut))
}

func up(c *status.Connection) (n int) {
	for i := range c.Paths {
		if c.Paths[i].Up {
			n++
		}
	}
	return n
}

func lowestRTT(c *status.Connection) (low time.Duration) {
	for i := range c.Paths {
		if p := &c.Paths[i]; p.Up && p.RTT > 0 && (low == 0 || p.RTT < low) {
			low = p.RTT
		}
	}
	return low
}

func parseQuery(v url.Values) (query, error) {
	q := query{limit: -1, less: orders["id"]}
	var err error
	if s := v.Get("limit"); s != "" {
		if q.limit, err = strconv.Atoi(s); err != nil || q.limit < 0 {
			return q, fmt.Errorf("limit is no number of connections: %q", s)
		}
	}
	if s := v.Get("offset"); s != "" {
		if q.offset, err = strconv.Atoi(s); err != nil || q.offset < 0 {
			return q, fmt.Errorf("offset is no number of connections: %q", s)
		}
	}
	if s := v.Get("sort"); s != "" {
		s, q.down = strings.CutPrefix(s, "-")
		if q.less = orders[s]; q.less == nil {
			return q, fmt.Errorf("connections cannot be sorted by %q", s)
		}
	}
	switch q.protocol = v.Get("protocol"); q.protocol {
	case "", "mptcp", "tcp":
	default:
		return q, fmt.Errorf("protocol is mptcp or tcp, not %q", q.protocol)
	}
	q.words = strings.Fields(strings.ToLower(v.Get("filter")))
	return q, nil
}

// choose gives the page of the connections that was asked for, and how many
// there are on all pages. all stays as it is.
func (q *query) choose(all []status.Connection) (chosen []status.Connection, matching int) {
	list := make([]*status.Connection, 0, len(all))
	for i := range all {
		if q.match(&all[i]) {
			list = append(list, &all[i])
		}
	}
	matching = len(list)
	slices.SortFunc(list, func(a, b *status.Connection) int {
		c := q.less(a, b)
		if q.down {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.ID, b.ID))
	})
	list = list[min(q.offset, len(list)):]
	if q.limit >= 0 {
		list = list[:min(q.limit, len(list))]
	}
	chosen = make([]status.Connection, len(list))
	for i, c := range list {
		chosen[i] = *c
	}
	return chosen, matching
}

func (q *query) match(c *status.Connection) bool {
	if q.protocol != "" && c.Multipath != (q.protocol == "mptcp") {
		return false
	}
	if len(q.words) == 0 {
		return true
	}
	text := searchText(c)
	for _, word := range q.words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// searchText is what a filter looks at.
func searchText(c *status.Connection) string {
	var b strings.Builder
	add := func(words ...string) {
		for _, w := range words {
			b.WriteString(strings.ToLower(w))
			b.WriteByte('\n')
		}
	}
	add(c.Listener, c.Client.String(), c.Local.String(), c.TLS, c.ServerName, c.Protocol, c.Host, c.UserAgent,
		c.Pool, c.Backend, c.Fallback)
	for i := range c.Paths {
		p := &c.Paths[i]
		add(p.Interface, p.Local.String(), p.Remote.String(), p.Status(), p.Congestion)
	}
	return b.String()
}
