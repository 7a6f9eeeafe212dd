package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	rtnetlink "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// PathManager administers the kernel's path manager in the network namespace in
// which it was opened. Its methods may be called at the same time. All but
// Limits need CAP_NET_ADMIN there.
//
// Changes concern connections that come after, and in part those there are:
// see ip-mptcp(8).
type PathManager struct {
	c      *genetlink.Conn
	family genetlink.Family
	links  *rtnetlink.Handle // names of interfaces
}

// OpenPathManager opens the path manager of the network namespace of the
// calling thread.
func OpenPathManager() (*PathManager, error) {
	c, family, err := dialFamily()
	if err != nil {
		return nil, err
	}
	links, err := rtnetlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("kernel: path manager: %w", err)
	}
	return &PathManager{c: c, family: family, links: links}, nil
}

func dialFamily() (*genetlink.Conn, genetlink.Family, error) {
	c, err := genetlink.Dial(&netlink.Config{Strict: true})
	if err != nil {
		return nil, genetlink.Family{}, fmt.Errorf("kernel: path manager: %w", err)
	}
	family, err := c.GetFamily(pmFamily)
	if err != nil {
		c.Close()
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: it has no path manager (CONFIG_MPTCP)", ErrUnsupported)
		}
		return nil, genetlink.Family{}, fmt.Errorf("kernel: path manager: %w", err)
	}
	return c, family, nil
}

// Close releases the path manager's sockets. What was set stays set.
func (pm *PathManager) Close() error {
	pm.links.Close()
	return pm.c.Close()
}

// Add adds an endpoint. An ID of 0 lets the kernel choose one.
func (pm *PathManager) Add(e Endpoint) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if !e.Addr.IsValid() {
		return fmt.Errorf("%w %s: no address", ErrEndpoint, e)
	}
	return pm.endpoint(cmdAddAddr, "add", e)
}

// Delete deletes the endpoint with e's ID, or, if that is 0, the one with its
// address and port. Subflows from it are closed and announcements taken back.
func (pm *PathManager) Delete(e Endpoint) error {
	if e.ID == 0 {
		found, err := pm.find(e)
		if err != nil {
			return err
		}
		e = found
	}
	return pm.endpoint(cmdDelAddr, "delete", Endpoint{ID: e.ID, Addr: e.Addr})
}

// Change sets and clears FlagBackup and FlagFullmesh of the endpoint with the
// ID, and of the subflows from it (MP_PRIO). Other flags do not change.
func (pm *PathManager) Change(id uint8, set, clear EndpointFlags) error {
	e, err := pm.Get(id)
	if err != nil {
		return err
	}
	// The kernel takes both flags from the command, given or not.
	e.Flags = (e.Flags | set) &^ clear & (FlagBackup | FlagFullmesh)
	return pm.endpoint(cmdSetFlags, "change", Endpoint{ID: id, Flags: e.Flags})
}

// Get reads the endpoint with the ID. The error wraps fs.ErrNotExist when there
// is none.
func (pm *PathManager) Get(id uint8) (Endpoint, error) {
	return pm.find(Endpoint{ID: id})
}

func (pm *PathManager) find(want Endpoint) (Endpoint, error) {
	all, err := pm.Endpoints()
	if err != nil {
		return Endpoint{}, err
	}
	for _, e := range all {
		if want.ID != 0 && e.ID == want.ID ||
			want.ID == 0 && e.Addr == want.Addr && e.Port == want.Port {
			return e, nil
		}
	}
	return Endpoint{}, fmt.Errorf("kernel: endpoint %s: %w", want, fs.ErrNotExist)
}

// Endpoints lists all endpoints, those with FlagImplicit included.
func (pm *PathManager) Endpoints() ([]Endpoint, error) {
	msgs, err := pm.execute(cmdGetAddr, nil, netlink.Request|netlink.Dump)
	if err != nil {
		return nil, pmError("list endpoints", err)
	}
	var all []Endpoint
	for _, m := range msgs {
		e, ifIndex, err := decodeEndpoint(m.Data)
		if err != nil {
			return nil, err
		}
		if ifIndex != 0 {
			e.Dev = pm.interfaceName(ifIndex)
		}
		all = append(all, e)
	}
	return all, nil
}

// Flush deletes all endpoints.
func (pm *PathManager) Flush() error {
	_, err := pm.execute(cmdFlushAddrs, nil, netlink.Request|netlink.Acknowledge)
	return pmError("flush endpoints", err)
}

// Limits reads the limits.
func (pm *PathManager) Limits() (Limits, error) {
	msgs, err := pm.execute(cmdGetLimits, nil, netlink.Request) // an answer comes, or an error
	if err != nil {
		return Limits{}, pmError("read limits", err)
	}
	if len(msgs) == 0 {
		return Limits{}, fmt.Errorf("kernel: read limits: no answer")
	}
	return decodeLimits(msgs[0].Data)
}

// SetLimits sets the limits.
func (pm *PathManager) SetLimits(l Limits) error {
	data, err := encodeLimits(l)
	if err != nil {
		return fmt.Errorf("kernel: set limits: %w", err)
	}
	_, err = pm.execute(cmdSetLimits, data, netlink.Request|netlink.Acknowledge)
	return pmError("set limits", err)
}

// endpoint runs a command about one endpoint.
func (pm *PathManager) endpoint(command uint8, verb string, e Endpoint) error {
	verb = fmt.Sprintf("%s endpoint %s", verb, e)
	ifIndex := 0
	if e.Dev != "" {
		l, err := pm.links.LinkByName(e.Dev)
		if err != nil {
			return fmt.Errorf("kernel: %s: %w", verb, err)
		}
		ifIndex = l.Attrs().Index
	}
	data, err := encodeEndpoint(e, ifIndex)
	if err != nil {
		return fmt.Errorf("kernel: %s: %w", verb, err)
	}
	_, err = pm.execute(command, data, netlink.Request|netlink.Acknowledge)
	return pmError(verb, err)
}

func (pm *PathManager) execute(command uint8, data []byte, flags netlink.HeaderFlags) ([]genetlink.Message, error) {
	return pm.c.Execute(genetlink.Message{
		Header: genetlink.Header{Command: command, Version: pmVersion},
		Data:   data,
	}, pm.family.ID, flags)
}

// interfaceName gives "if5" for an interface that has gone.
func (pm *PathManager) interfaceName(index int) string {
	l, err := pm.links.LinkByIndex(index)
	if err != nil {
		return fmt.Sprintf("if%d", index)
	}
	return l.Attrs().Name
}

func pmError(verb string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("kernel: %s: %w (%w)", verb, ErrPermission, err)
	}
	return fmt.Errorf("kernel: %s: %w", verb, err)
}

// Watcher receives the path manager's events.
type Watcher struct {
	c       *genetlink.Conn
	closed  atomic.Bool
	pending []genetlink.Message
}

// Watch begins to receive the events of the network namespace of the calling
// thread. It needs CAP_NET_ADMIN there.
func Watch() (*Watcher, error) {
	c, family, err := dialFamily()
	if err != nil {
		return nil, err
	}
	for _, g := range family.Groups {
		if g.Name != pmEventsGroup {
			continue
		}
		if err := c.JoinGroup(g.ID); err != nil {
			c.Close()
			return nil, pmError("watch events", err)
		}
		return &Watcher{c: c}, nil
	}
	c.Close()
	return nil, fmt.Errorf("kernel: watch events: %w: its path manager tells none", ErrUnsupported)
}

// Next waits for an event. It returns net.ErrClosed after Close, and
// ErrEventsLost where the stream has a gap. One goroutine calls it.
func (w *Watcher) Next() (Event, error) {
	for len(w.pending) == 0 {
		msgs, _, err := w.c.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			return Event{}, ErrEventsLost
		case err != nil && w.closed.Load():
			return Event{}, net.ErrClosed
		case err != nil:
			return Event{}, fmt.Errorf("kernel: watch events: %w", err)
		}
		w.pending = msgs
	}
	m := w.pending[0]
	w.pending = w.pending[1:]
	return decodeEvent(m.Header.Command, m.Data)
}

// Close ends a pending Next. Any goroutine may call it.
func (w *Watcher) Close() error {
	w.closed.Store(true)
	return w.c.Close()
}
