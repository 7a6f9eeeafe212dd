package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// EndpointFlags say what the path manager does with an endpoint. They have the
// values of linux/mptcp.h.
type EndpointFlags uint32

// Flags of an endpoint, with the meaning given in ip-mptcp(8).
const (
	FlagSignal   EndpointFlags = 1 << iota // announce it to the peer (ADD_ADDR)
	FlagSubflow                            // open a subflow from it
	FlagBackup                             // subflows from it are for when no other works
	FlagFullmesh                           // open a subflow from it to every address of the peer
	FlagImplicit                           // made by the kernel for an address in use; not settable
	FlagLaminar                            // use it to answer one announced address (Linux 6.18)
)

var flagNames = []struct {
	flag EndpointFlags
	name string
}{
	{FlagSignal, "signal"}, {FlagSubflow, "subflow"}, {FlagLaminar, "laminar"}, {FlagBackup, "backup"},
	{FlagFullmesh, "fullmesh"}, {FlagImplicit, "implicit"},
}

// String lists the flags in the words of ip-mptcp(8).
func (f EndpointFlags) String() string {
	var words []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			words = append(words, n.name)
			f &^= n.flag
		}
	}
	if f != 0 {
		words = append(words, fmt.Sprintf("%#x", uint32(f)))
	}
	return strings.Join(words, " ")
}

// Endpoint is a local address as the path manager uses it.
type Endpoint struct {
	// Addr may be invalid in what ParseEndpoint returns, for all addresses of
	// Dev; the path manager itself wants one.
	Addr  netip.Addr
	Port  uint16 // 0: the connection's own; else needs FlagSignal
	ID    uint8  // address ID; 0: the kernel chooses
	Dev   string // interface name; may be empty
	Flags EndpointFlags
}

// String gives the endpoint in the words of ip-mptcp(8), which ParseEndpoint
// understands.
func (e Endpoint) String() string {
	var words []string
	if e.Addr.IsValid() {
		words = append(words, e.Addr.String())
	}
	if e.Port != 0 {
		words = append(words, "port", strconv.Itoa(int(e.Port)))
	}
	if e.ID != 0 {
		words = append(words, "id", strconv.Itoa(int(e.ID)))
	}
	if e.Flags != 0 {
		words = append(words, e.Flags.String())
	}
	if e.Dev != "" {
		words = append(words, "dev", e.Dev)
	}
	return strings.Join(words, " ")
}

// ErrEndpoint is wrapped by the errors of ParseEndpoint and Endpoint.Validate.
var ErrEndpoint = errors.New("endpoint")

// ParseEndpoint reads what follows "ip mptcp endpoint add":
//
//	10.0.0.1 dev wlan0 subflow backup id 3
//
// The address may be left out where an interface is named; the endpoint then
// stands for every address of the interface.
func ParseEndpoint(s string) (Endpoint, error) {
	p := endpointParser{words: strings.Fields(s)}
	for len(p.words) > 0 {
		if err := p.word(); err != nil {
			return Endpoint{}, err
		}
	}
	if !p.e.Addr.IsValid() && p.e.Dev == "" {
		return Endpoint{}, fmt.Errorf("%w %q: neither an address nor a dev", ErrEndpoint, s)
	}
	return p.e, p.e.Validate()
}

type endpointParser struct {
	words []string
	e     Endpoint
}

// word takes one word, with its argument if it has one.
func (p *endpointParser) word() error {
	w := p.words[0]
	p.words = p.words[1:]
	switch w {
	case "dev":
		return p.argument(w, p.e.Dev != "", func(arg string) error {
			p.e.Dev = arg
			return nil
		})
	case "id":
		return p.argument(w, p.e.ID != 0, func(arg string) error {
			id, err := strconv.ParseUint(arg, 10, 8)
			if err == nil && id == 0 {
				err = errors.New("0 is the first subflow's")
			}
			p.e.ID = uint8(id)
			return err
		})
	case "port":
		return p.argument(w, p.e.Port != 0, func(arg string) error {
			port, err := strconv.ParseUint(arg, 10, 16)
			if err == nil && port == 0 {
				err = errors.New("0 is no port")
			}
			p.e.Port = uint16(port)
			return err
		})
	}
	for _, n := range flagNames {
		if w == n.name {
			p.e.Flags |= n.flag
			return nil
		}
	}
	addr, err := netip.ParseAddr(w)
	if err != nil {
		return fmt.Errorf("%w: unknown word %q", ErrEndpoint, w)
	}
	if p.e.Addr.IsValid() {
		return fmt.Errorf("%w: a second address %s", ErrEndpoint, addr)
	}
	p.e.Addr = addr.Unmap()
	return nil
}

func (p *endpointParser) argument(word string, again bool, set func(arg string) error) error {
	if again {
		return fmt.Errorf("%w: %q twice", ErrEndpoint, word)
	}
	if len(p.words) == 0 {
		return fmt.Errorf("%w: %q needs an argument", ErrEndpoint, word)
	}
	if err := set(p.words[0]); err != nil {
		return fmt.Errorf("%w: %s %q: %w", ErrEndpoint, word, p.words[0], err)
	}
	p.words = p.words[1:]
	return nil
}

// Validate tells what the kernel would refuse without saying why.
func (e Endpoint) Validate() error {
	switch {
	case e.Addr.Zone() != "":
		return fmt.Errorf("%w %s: name the interface by dev, not in the address", ErrEndpoint, e)
	case e.Port != 0 && e.Flags&FlagSignal == 0:
		return fmt.Errorf("%w %s: a port needs signal", ErrEndpoint, e)
	case e.Flags&FlagSignal != 0 && e.Flags&FlagFullmesh != 0:
		return fmt.Errorf("%w %s: signal and fullmesh exclude each other", ErrEndpoint, e)
	case e.Flags&FlagImplicit != 0:
		return fmt.Errorf("%w %s: only the kernel makes implicit endpoints", ErrEndpoint, e)
	}
	return nil
}

// Limits bound what the path manager does for one connection. The kernel takes
// up to 8 for each, newer ones 64.
type Limits struct {
	AddAddrAccepted uint32 // announced addresses used
	Subflows        uint32 // subflows besides the first
}
