package kernel

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"
)

// EventType says what an Event is about, by the numbers of linux/mptcp_pm.h.
type EventType uint8

// Types of events.
const (
	EventCreated         EventType = 1  // first SYN answered; both addresses
	EventEstablished     EventType = 2  // subflows may be added; both addresses
	EventClosed          EventType = 3  // the connection is gone
	EventAnnounced       EventType = 6  // ADD_ADDR came: RemoteID, Remote
	EventRemoved         EventType = 7  // REMOVE_ADDR came: RemoteID
	EventSubEstablished  EventType = 10 // a subflow was joined
	EventSubClosed       EventType = 11 // a subflow ended, maybe with an Error
	EventSubPriority     EventType = 13 // a subflow's Backup changed
	EventListenerCreated EventType = 15 // the path manager listens at Local
	EventListenerClosed  EventType = 16
)

var eventNames = map[EventType]string{
	EventCreated: "created", EventEstablished: "established", EventClosed: "closed",
	EventAnnounced: "announced", EventRemoved: "removed",
	EventSubEstablished: "sub_established", EventSubClosed: "sub_closed", EventSubPriority: "sub_priority",
	EventListenerCreated: "listener_created", EventListenerClosed: "listener_closed",
}

// String is the type's name in the kernel's documentation.
func (t EventType) String() string {
	if s := eventNames[t]; s != "" {
		return s
	}
	return fmt.Sprintf("event %d", uint8(t))
}

// Event is a message of the path manager about a connection of this network
// namespace. Which fields it has depends on Type.
type Event struct {
	Type          EventType
	Token         uint32 // local token of the connection
	Local, Remote netip.AddrPort
	LocalID       uint8
	RemoteID      uint8
	Backup        bool
	Error         syscall.Errno // of a subflow that failed
	IfIndex       int           // interface of a subflow, 0 when not bound to one
	ServerSide    bool          // the connection was accepted here
	DenyJoinID0   bool          // the peer wants no joins to its first address (C bit of MP_CAPABLE)
	ResetReason   uint32        // of the MP_TCPRST that ended a subflow (RFC 8684 section 3.6)
	ResetFlags    uint32
}

// String lists what the event says in the manner of "ip mptcp monitor".
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s token=%08x", e.Type, e.Token)
	if e.LocalID != 0 || e.RemoteID != 0 {
		fmt.Fprintf(&b, " remid=%d locid=%d", e.RemoteID, e.LocalID)
	}
	if e.Local.IsValid() {
		fmt.Fprintf(&b, " local=%s", e.Local)
	}
	if e.Remote.IsValid() {
		fmt.Fprintf(&b, " remote=%s", e.Remote)
	}
	if e.Backup {
		b.WriteString(" backup")
	}
	if e.Error != 0 {
		fmt.Fprintf(&b, " error=%q", e.Error.Error())
	}
	if e.ResetReason != 0 {
		fmt.Fprintf(&b, " reset_reason=%d", e.ResetReason)
	}
	if e.IfIndex != 0 {
		fmt.Fprintf(&b, " ifindex=%d", e.IfIndex)
	}
	if e.ServerSide {
		b.WriteString(" server_side")
	}
	return b.String()
}

// Attributes of an event.
const (
	evToken = iota + 1
	evFamily
	evLocalID
	evRemoteID
	evSAddr4
	evSAddr6
	evDAddr4
	evDAddr6
	evSPort
	evDPort
	evBackup
	evError
	evFlags
	evTimeout
	evIfIndex
	evResetReason
	evResetFlags
	evServerSide
)

// Bits of evFlags.
const (
	evFlagDenyJoinID0 = 1
	evFlagServerSide  = 2
)

// decodeEvent reads the attributes of an event message.
func decodeEvent(command uint8, b []byte) (Event, error) {
	e := Event{Type: EventType(command)}
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return e, fmt.Errorf("kernel: %s: %w", e.Type, err)
	}
	var local, remote netip.Addr
	var localPort, remotePort uint16
	for ad.Next() {
		switch ad.Type() {
		case evToken:
			e.Token = ad.Uint32()
		case evLocalID:
			e.LocalID = ad.Uint8()
		case evRemoteID:
			e.RemoteID = ad.Uint8()
		case evSAddr4, evSAddr6:
			local, _ = netip.AddrFromSlice(ad.Bytes())
		case evDAddr4, evDAddr6:
			remote, _ = netip.AddrFromSlice(ad.Bytes())
		case evSPort:
			localPort = bigEndian16(ad.Bytes())
		case evDPort:
			remotePort = bigEndian16(ad.Bytes())
		case evBackup:
			e.Backup = ad.Uint8() != 0
		case evError:
			e.Error = syscall.Errno(ad.Uint8())
		case evFlags:
			flags := ad.Uint16()
			e.DenyJoinID0 = flags&evFlagDenyJoinID0 != 0
			e.ServerSide = e.ServerSide || flags&evFlagServerSide != 0
		case evIfIndex:
			e.IfIndex = int(ad.Int32())
		case evResetReason:
			e.ResetReason = ad.Uint32()
		case evResetFlags:
			e.ResetFlags = ad.Uint32()
		case evServerSide:
			e.ServerSide = e.ServerSide || ad.Uint8() != 0
		}
	}
	if err := ad.Err(); err != nil {
		return e, fmt.Errorf("kernel: %s: %w", e.Type, err)
	}
	if local.IsValid() {
		e.Local = netip.AddrPortFrom(local.Unmap(), localPort)
	}
	if remote.IsValid() {
		e.Remote = netip.AddrPortFrom(remote.Unmap(), remotePort)
	}
	return e, nil
}
