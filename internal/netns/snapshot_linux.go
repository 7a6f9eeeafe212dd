package netns

import (
	"fmt"
	"slices"

	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Snapshot is what a program could have left behind in the namespace, as text,
// a line each: interfaces, rules, routes of all tables and whether interfaces
// forward. The nftables ruleset is in it as the kernel's own bytes.
func (n *NS) Snapshot() (lines []string) {
	n.t.Helper()
	links, err := n.nl.LinkList()
	n.must(err, "list links")
	for _, l := range links {
		lines = append(lines, "link "+l.Attrs().Name)
		for _, setting := range []string{"net/ipv4/conf/%s/forwarding", "net/ipv6/conf/%s/forwarding"} {
			name := fmt.Sprintf(setting, l.Attrs().Name)
			if n.hasSysctl(name) {
				lines = append(lines, name+"="+n.Sysctl(name))
			}
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := n.nl.RuleList(family)
		n.must(err, "list rules")
		for _, r := range rules {
			lines = append(lines, fmt.Sprintf("rule %d %s proto %d", family, r, r.Protocol))
		}
		routes, err := n.nl.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		n.must(err, "list routes")
		for _, r := range routes {
			if r.Protocol != unix.RTPROT_KERNEL { // which come when the kernel likes
				lines = append(lines, fmt.Sprintf("route %d %s proto %d type %d", family, r, r.Protocol, r.Type))
			}
		}
	}
	slices.Sort(lines)
	return append(lines, n.ruleset()...)
}

// ruleset dumps the nftables ruleset as netlink messages.
func (n *NS) ruleset() (lines []string) {
	n.t.Helper()
	c, err := mdnetlink.Dial(unix.NETLINK_NETFILTER, &mdnetlink.Config{NetNS: n.Fd()})
	n.must(err, "netfilter")
	defer c.Close()
	for _, get := range []uint16{unix.NFT_MSG_GETTABLE, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE} {
		msgs, err := c.Execute(mdnetlink.Message{
			Header: mdnetlink.Header{
				Type:  mdnetlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | get),
				Flags: mdnetlink.Request | mdnetlink.Dump,
			},
			Data: make([]byte, 4),
		})
		n.must(err, "list the ruleset")
		for _, m := range msgs {
			m.Data[2], m.Data[3] = 0, 0 // the generation, which counts changes
			lines = append(lines, fmt.Sprintf("nft %d %x", get, m.Data))
		}
	}
	return lines
}
