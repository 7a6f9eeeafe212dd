package netns

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// cut is the nftables table that swallows what an interface receives.
type cut struct{ table *nftables.Table }

// Cut loses every packet the end receives from now on. Neither host is told:
// links stay up, addresses and routes stay. To cut both directions, cut both
// ends (or call Sever). Packet sockets on the end still see the packets; for
// them cut somewhere in between.
func (e *End) Cut() {
	e.NS.t.Helper()
	if e.cut != nil {
		return
	}
	c := e.nft()
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "cut-" + e.Name})
	chain := c.AddChain(&nftables.Chain{
		Name:     "ingress",
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFirst,
		Device:   e.Name,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	e.NS.must(c.Flush(), "cut %s", e.Name)
	e.cut = &cut{table}
}

// Mend ends Cut.
func (e *End) Mend() {
	e.NS.t.Helper()
	if e.cut == nil {
		return
	}
	c := e.nft()
	c.DelTable(e.cut.table)
	e.NS.must(c.Flush(), "mend %s", e.Name)
	e.cut = nil
}

// Sever cuts the cable of this end in both directions; Restore mends it.
func (e *End) Sever() {
	e.NS.t.Helper()
	e.Cut()
	e.peer.Cut()
}

// Restore ends Sever.
func (e *End) Restore() {
	e.NS.t.Helper()
	e.Mend()
	e.peer.Mend()
}

// CutPackets is the number of packets lost since Cut.
func (e *End) CutPackets() uint64 {
	e.NS.t.Helper()
	if e.cut == nil {
		return 0
	}
	rules, err := e.nft().GetRules(e.cut.table, &nftables.Chain{Name: "ingress", Table: e.cut.table})
	e.NS.must(err, "read the counter of %s", e.Name)
	for _, r := range rules {
		for _, x := range r.Exprs {
			if c, ok := x.(*expr.Counter); ok {
				return c.Packets
			}
		}
	}
	e.NS.must(fmt.Errorf("no counter"), "read the counter of %s", e.Name)
	return 0
}

func (e *End) nft() *nftables.Conn {
	e.NS.t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(e.NS.Fd()))
	e.NS.must(err, "nftables")
	return c
}
