package hostnet

import (
	"testing"

	rtnetlink "github.com/vishvananda/netlink"
)

// TestInterfaceGoesMeanwhile takes an interface away between plan and
// installation: no error, since it is news that will be followed, and the rest
// holds.
func TestInterfaceGoesMeanwhile(t *testing.T) {
	top := newTopology(t)
	d := openTUN(t, top.host)
	defer d.Close()
	s := top.install(t, top.h, d.Name(), "test")
	in, from := reader(d), udpEcho(t, top.server)
	var err error
	prev := s.Plan()
	top.host.Do(func() {
		err = s.Update(func(state State) (Plan, error) {
			p, err := StackPlan(state, StackConfig{Tag: "test", Dev: d.Name(), Previous: &prev})
			if err != nil {
				return p, err
			}
			eth2, err := rtnetlink.LinkByName("eth2")
			if err != nil {
				return p, err
			}
			return p, rtnetlink.LinkDel(eth2)
		})
	})
	if err != nil {
		t.Errorf("got %v", err)
	}
	if p := s.Plan().Paths[0]; p.Uplink != "eth1" || !carries(t, d, in, from, p) {
		t.Errorf("%+v does not work", p)
	}
	top.close(t, s)
}
