package hostnet

import (
	"encoding/json"
	"fmt"
)

// missing lists the actions of from that have no counterpart in to.
func missing(from, to []Action) ([]Action, error) {
	kept := make(map[string]bool)
	for _, a := range to {
		key, err := a.key()
		if err != nil {
			return nil, err
		}
		kept[key] = true
	}
	var gone []Action
	for _, a := range from {
		key, err := a.key()
		if err != nil {
			return nil, err
		}
		if !kept[key] {
			gone = append(gone, a)
		}
	}
	return gone, nil
}

// key identifies what the action is about: two with the same key take each
// other's place.
func (a Action) key() (string, error) {
	switch {
	case a.Table != nil:
		return fmt.Sprintf("table %s %v", a.Table.Name, a.Table.IPv6), nil
	case a.Sysctl != nil:
		return "sysctl " + a.Sysctl.Name, nil
	case a.Limits != nil:
		return "limits", nil
	case a.Endpoint != nil:
		return "endpoint " + a.Endpoint.Addr.String(), nil
	case a.Route != nil:
		return fmt.Sprintf("route %s table %d unreachable %v", a.Route.Dst, a.Route.Table, a.Route.Unreachable), nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("hostnet: %w", err)
	}
	return string(b), nil
}
