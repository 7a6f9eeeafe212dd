package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Installed lists what is installed in the network namespace. Any user may ask.
func (h *Host) Installed() ([]Installation, error) {
	journals, err := h.journals()
	if err != nil {
		return nil, err
	}
	var all []Installation
	for _, j := range journals {
		// The journal's lock tells whether the process lives.
		j, f, alive, err := openJournal(j.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("hostnet: journal: %w", err)
		}
		f.Close()
		all = append(all, Installation{Tag: j.Tag, PID: j.PID, Persistent: j.Persistent, Alive: alive, Actions: j.Actions})
	}
	return all, nil
}

// WayOut gives the interface by which a packet leaves, "" when there is no way.
func (h *Host) WayOut(from, to netip.Addr) (string, error) {
	routes, err := h.nl.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{SrcAddr: from.AsSlice()})
	if err != nil || len(routes) == 0 {
		return "", nil // unreachable, by whatever name
	}
	i, err := net.InterfaceByIndex(routes[0].LinkIndex)
	if err != nil {
		return "", fmt.Errorf("hostnet: route from %s to %s: %w", from, to, err)
	}
	return i.Name, nil
}
