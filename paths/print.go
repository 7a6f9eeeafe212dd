package paths

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the overview for people.
func (o *Overview) Print(w io.Writer) error {
	var b strings.Builder
	switch {
	case !o.Kernel.MPTCP:
		fmt.Fprintf(&b, "kernel    %s\n", o.Kernel.Reason)
	default:
		s := o.Kernel.Settings
		fmt.Fprintf(&b, "kernel    Multipath TCP, %d connections; path manager %s, scheduler %s, checksums %s, close timeout %s s\n",
			o.Kernel.Connections, s["path_manager"], s["scheduler"], onOff(s["checksum_enabled"]), s["close_timeout"])
		fmt.Fprintf(&b, "limits    subflows %d, add_addr_accepted %d\n", o.Limits.Subflows, o.Limits.AddAddrAccepted)
	}
	if len(o.Uplinks) == 0 {
		b.WriteString("uplinks   none: the host has no default route\n")
	}
	for i, u := range o.Uplinks {
		fmt.Fprintf(&b, "uplink    %s", u.Name)
		if u.State != "" {
			fmt.Fprintf(&b, " %s", u.State)
		}
		fmt.Fprintf(&b, ", mtu %d", u.MTU)
		if u.RxBytes+u.TxBytes > 0 {
			fmt.Fprintf(&b, ", received %d, sent %d bytes", u.RxBytes, u.TxBytes)
		}
		if i == 0 && len(o.Uplinks) > 1 {
			b.WriteString(", preferred")
		}
		b.WriteByte('\n')
		for _, way := range u.Ways {
			fmt.Fprintf(&b, "          %s", way.Prefix)
			if way.Gateway.IsValid() {
				fmt.Fprintf(&b, " via %s", way.Gateway)
			}
			fmt.Fprintf(&b, " metric %d", way.Metric)
			if way.LeavesBy != u.Name {
				fmt.Fprintf(&b, ", but its packets leave by %s", orNone(way.LeavesBy))
			}
			if way.Endpoint != "" {
				fmt.Fprintf(&b, ", endpoint %s", way.Endpoint)
			}
			b.WriteByte('\n')
		}
	}
	for _, e := range o.Endpoints {
		fmt.Fprintf(&b, "endpoint  %s", e.Addr)
		if e.Port != 0 {
			fmt.Fprintf(&b, " port %d", e.Port)
		}
		fmt.Fprintf(&b, " id %d %s", e.ID, strings.Join(e.Flags, " "))
		if e.Dev != "" {
			fmt.Fprintf(&b, " dev %s", e.Dev)
		}
		b.WriteByte('\n')
	}
	for _, in := range o.Installed {
		fmt.Fprintf(&b, "installed %s: %s, %d things\n", in.Tag, in.owner(), len(in.Commands))
	}
	for _, h := range o.Hints {
		fmt.Fprintf(&b, "hint      %s\n", h)
	}
	for _, n := range o.Notes {
		fmt.Fprintf(&b, "note      %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (in *Installed) owner() string {
	switch {
	case in.Persistent:
		return "to stay"
	case in.Alive:
		return fmt.Sprintf("by process %d", in.PID)
	}
	return fmt.Sprintf("left by process %d, which is gone: braid cleanup", in.PID)
}

func onOff(v string) string {
	if v == "1" {
		return "on"
	}
	return "off"
}

func orNone(dev string) string {
	if dev == "" {
		return "no interface"
	}
	return dev
}
