package paths

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
)

// Overview is the host as it is. It is printed as text by Print and as JSON by
// `braid paths -j`.
type Overview struct {
	Kernel    Kernel      `json:"kernel"`
	Uplinks   []Uplink    `json:"uplinks"`
	Endpoints []Endpoint  `json:"endpoints"`
	Limits    Limits      `json:"limits"`
	Installed []Installed `json:"installed"`
	// Hints say what is missing for several paths, and notes what could not
	// be read.
	Hints []string `json:"hints"`
	Notes []string `json:"notes"`
}

// Kernel is what the kernel offers.
type Kernel struct {
	MPTCP    bool              `json:"mptcp"`
	Reason   string            `json:"reason,omitempty"` // why not
	Settings map[string]string `json:"settings"`         // sysctl net.mptcp.*
	// Connections are the Multipath TCP connections there are now.
	Connections int64 `json:"connections"`
}

// Uplink is an interface with a default route.
type Uplink struct {
	Name    string `json:"name"`
	State   string `json:"state"` // up, or no carrier
	MTU     int    `json:"mtu"`
	RxBytes uint64 `json:"rx_bytes"` // since the interface came into being
	TxBytes uint64 `json:"tx_bytes"`
	Ways    []Way  `json:"ways"`
}

// Way is an uplink's way out by IPv4 or IPv6.
type Way struct {
	Addr     netip.Addr   `json:"address"`
	Prefix   netip.Prefix `json:"prefix"`
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	Metric   int          `json:"metric"`
	LeavesBy string       `json:"leaves_by"` // the interface by which packets from Addr leave
	// Endpoint are the flags of the path manager's endpoint at Addr, "" when
	// there is none.
	Endpoint string `json:"endpoint,omitempty"`
}

// Endpoint is one of the path manager's.
type Endpoint struct {
	ID    uint8      `json:"id"`
	Addr  netip.Addr `json:"address"`
	Port  uint16     `json:"port,omitempty"`
	Dev   string     `json:"dev,omitempty"`
	Flags []string   `json:"flags"`
}

// Limits are the path manager's.
type Limits struct {
	Subflows        uint32 `json:"subflows"`
	AddAddrAccepted uint32 `json:"add_addr_accepted"`
}

// Installed is what braid has installed.
type Installed struct {
	Tag        string   `json:"tag"`
	PID        int      `json:"pid"`
	Alive      bool     `json:"alive"`
	Persistent bool     `json:"persistent"`
	Commands   []string `json:"commands"` // that would have done the same
}

// Look looks at the network namespace of the process. Without privilege the
// endpoints stay unknown, which a note says.
func Look() (*Overview, error) {
	h, err := hostnet.Open("")
	if err != nil {
		return nil, err
	}
	defer h.Close()
	o := &Overview{Uplinks: []Uplink{}, Endpoints: []Endpoint{}, Installed: []Installed{}, Hints: []string{}, Notes: []string{}}
	o.lookAtKernel()
	if err := o.lookAtPathManager(); err != nil {
		return nil, err
	}
	if err := o.lookAtUplinks(h); err != nil {
		return nil, err
	}
	all, err := h.Installed()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		in := Installed{Tag: i.Tag, PID: i.PID, Alive: i.Alive, Persistent: i.Persistent, Commands: []string{}}
		for _, a := range i.Actions {
			in.Commands = append(in.Commands, a.String())
		}
		o.Installed = append(o.Installed, in)
	}
	o.advise()
	return o, nil
}

func (o *Overview) lookAtKernel() {
	o.Kernel.Settings = make(map[string]string)
	err := kernel.Supported()
	o.Kernel.MPTCP = err == nil
	if err != nil {
		o.Kernel.Reason = err.Error()
	}
	names, _ := filepath.Glob("/proc/sys/net/mptcp/*") // fails on a bad pattern only
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil {
			o.Kernel.Settings[filepath.Base(name)] = strings.TrimSpace(string(b))
		}
	}
	o.Kernel.Connections = counter("MPTcpExt", "MPCurrEstab")
}

// counter reads one of the kernel's counters of this network namespace.
func counter(group, name string) int64 {
	b, err := os.ReadFile("/proc/self/net/netstat")
	if err != nil {
		return 0
	}
	lines := strings.Split(string(b), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) == 0 || names[0] != group+":" || len(names) != len(values) {
			continue
		}
		for k := range names {
			if names[k] == name {
				n, _ := strconv.ParseInt(values[k], 10, 64)
				return n
			}
		}
	}
	return 0
}

func (o *Overview) lookAtPathManager() error {
	pm, err := kernel.OpenPathManager()
	if errors.Is(err, kernel.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	defer pm.Close()
	limits, err := pm.Limits()
	if err != nil {
		return err
	}
	o.Limits = Limits{Subflows: limits.Subflows, AddAddrAccepted: limits.AddAddrAccepted}
	all, err := pm.Endpoints()
	if errors.Is(err, kernel.ErrPermission) {
		o.Notes = append(o.Notes, "the path manager's endpoints are told with CAP_NET_ADMIN only")
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range all {
		o.Endpoints = append(o.Endpoints, Endpoint{ID: e.ID, Addr: e.Addr, Port: e.Port, Dev: e.Dev, Flags: strings.Fields(e.Flags.String())})
	}
	return nil
}

func (o *Overview) lookAtUplinks(h *hostnet.Host) error {
	all, err := h.Uplinks()
	if err != nil {
		return err
	}
	for _, u := range all {
		up := Uplink{Name: u.Name, MTU: u.MTU, State: carrier(u.Name), Ways: []Way{}}
		up.RxBytes, up.TxBytes = traffic(u.Name)
		for _, w := range []hostnet.Way{u.V4, u.V6} {
			if !w.Usable() {
				continue
			}
			way := Way{Addr: w.Addr, Prefix: w.Prefix, Gateway: w.Gateway, Metric: w.Metric}
			if way.LeavesBy, err = h.WayOut(w.Addr, anywhere(w.Addr)); err != nil {
				return err
			}
			for _, e := range o.Endpoints {
				if e.Addr == w.Addr {
					way.Endpoint = strings.Join(e.Flags, " ")
				}
			}
			up.Ways = append(up.Ways, way)
		}
		o.Uplinks = append(o.Uplinks, up)
	}
	return nil
}

// anywhere is an address far from every host: of the ranges for documentation
// (RFC 5737, RFC 3849).
func anywhere(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.MustParseAddr("2001:db8::1")
	}
	return netip.MustParseAddr("192.0.2.1")
}

// carrier tells whether an interface that is up can send.
func carrier(dev string) string {
	i, err := net.InterfaceByName(dev)
	switch {
	case err != nil:
		return ""
	case i.Flags&net.FlagRunning != 0:
		return "up"
	}
	return "no carrier"
}

// traffic reads the bytes that an interface has received and sent. /sys would
// show those of the network namespace in which it was mounted.
func traffic(dev string) (received, sent uint64) {
	b, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return 0, 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || strings.TrimSpace(name) != dev || len(fields) < 9 {
			continue
		}
		received, _ = strconv.ParseUint(fields[0], 10, 64)
		sent, _ = strconv.ParseUint(fields[8], 10, 64)
	}
	return received, sent
}

// advise finds what is missing for several paths at once.
func (o *Overview) advise() {
	if !o.Kernel.MPTCP {
		return
	}
	if len(o.Uplinks) < 2 {
		return
	}
	if o.Kernel.Settings["pm_type"] == "1" {
		o.Hints = append(o.Hints, "paths are managed by a program, not by the kernel: endpoints are not heeded (sysctl net.mptcp.path_manager)")
	}
	setup := false
	for _, u := range o.Uplinks {
		for _, w := range u.Ways {
			if w.LeavesBy != u.Name {
				by := "by no interface"
				if w.LeavesBy != "" {
					by = "by " + w.LeavesBy
				}
				o.Hints = append(o.Hints, "packets from "+w.Addr.String()+" of "+u.Name+" leave "+by)
				setup = true
			}
			if w.Endpoint == "" && len(o.Notes) == 0 {
				o.Hints = append(o.Hints, "the path manager does not know "+w.Addr.String()+" of "+u.Name)
				setup = true
			}
		}
	}
	if setup {
		o.Hints = append(o.Hints, "braid paths setup takes care of it")
	}
}
