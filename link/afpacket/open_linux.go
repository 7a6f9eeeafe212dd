package afpacket

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// bufferBytes is room in the socket for a hundred of the largest packets.
const bufferBytes = 8 << 20

// Open takes the ports and opens the packet socket, in the network namespace of
// the calling thread.
func Open(cfg Config) (_ *Device, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("afpacket: %w", err)
	}
	d := &Device{}
	defer func() {
		if err != nil {
			nl.Close()
			d.release()
		}
	}()
	l, err := findInterface(nl, cfg.Interface)
	if err != nil {
		return nil, err
	}
	index, mac := l.Attrs().Index, [6]byte(l.Attrs().HardwareAddr)
	d.mtu = l.Attrs().MTU
	if d.addrs, err = findAddrs(nl, l, cfg.Addrs); err != nil {
		return nil, err
	}
	if d.reserved, err = reserve(d.addrs, cfg.Ports); err != nil {
		return nil, err
	}
	if err := d.openSocket(index, cfg.Ports); err != nil {
		return nil, err
	}
	if d.hops, err = newHops(nl, index, d.raw, newSender(mac, d.mtu), d.setGone); err != nil {
		return nil, err
	}
	d.start(newSender(mac, d.mtu))
	return d, nil
}

func findInterface(nl *netlink.Handle, name string) (netlink.Link, error) {
	l, err := nl.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", name, err)
	}
	if l.Attrs().EncapType != "ether" || len(l.Attrs().HardwareAddr) != 6 {
		return nil, fmt.Errorf("%w: %s is no Ethernet interface", ErrConfig, name)
	}
	return l, nil
}

// findAddrs lists the interface's addresses, or checks that it has want.
func findAddrs(nl *netlink.Handle, l netlink.Link, want []netip.Addr) ([]netip.Addr, error) {
	list, err := nl.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("afpacket: addresses of %s: %w", l.Attrs().Name, err)
	}
	has := make(map[netip.Addr]bool)
	var all []netip.Addr
	for _, a := range list {
		addr, ok := netip.AddrFromSlice(a.IP)
		if addr = addr.Unmap(); !ok || addr.IsLinkLocalUnicast() {
			continue
		}
		has[addr] = true
		all = append(all, addr)
	}
	if len(want) == 0 {
		want = all
	}
	for _, a := range want {
		if !has[a] {
			return nil, fmt.Errorf("%w: %s does not have %s", ErrConfig, l.Attrs().Name, a)
		}
	}
	if len(want) == 0 || len(want) > maxAddrs {
		return nil, fmt.Errorf("%w: %s has %d addresses", ErrConfig, l.Attrs().Name, len(want))
	}
	return want, nil
}

// openSocket opens the packet socket. It is bound last: until then, it receives
// nothing that the filter has not seen.
func (d *Device) openSocket(ifIndex int, ports PortRange) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return openError("socket", err)
	}
	d.file = os.NewFile(uintptr(fd), "packet socket")
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return fmt.Errorf("afpacket: %w", err)
	}
	prog, err := bpf.Assemble(append(onlyToUs(), filter(d.addrs, ports)...))
	if err != nil {
		return fmt.Errorf("afpacket: filter: %w", err)
	}
	if err := attachFilter(fd, prog); err != nil {
		return openError("filter", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return openError("PACKET_VNET_HDR", err)
	}
	// These spare work and losses; without them, things work too.
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	for _, opt := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, bufferBytes)
	}
	addr := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: ifIndex}
	if err := unix.Bind(fd, addr); err != nil {
		return openError("bind", err)
	}
	return nil
}

// release frees what Open has opened so far.
func (d *Device) release() {
	if d.file != nil {
		d.file.Close()
	}
	for _, fd := range d.reserved {
		unix.Close(fd)
	}
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

func attachFilter(fd int, prog []bpf.RawInstruction) error {
	insts := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		insts[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(insts)), Filter: &insts[0]})
}

func openError(what string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (%s: %w)", ErrPermission, what, err)
	}
	return fmt.Errorf("afpacket: %s: %w", what, err)
}

// reserve opens a listening socket for every address and port. Each has a
// filter before it listens, so that the kernel never answers for it.
func reserve(addrs []netip.Addr, ports PortRange) (fds []int, err error) {
	for _, a := range addrs {
		for p := int(ports.First); p <= int(ports.Last); p++ {
			fd, err := reservePort(netip.AddrPortFrom(a, uint16(p)))
			if err != nil {
				for _, fd := range fds {
					unix.Close(fd)
				}
				return nil, err
			}
			fds = append(fds, fd)
		}
	}
	return fds, nil
}

func reservePort(ap netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	if ap.Addr().Is4() {
		family = unix.AF_INET
		sa = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return 0, openError(fmt.Sprintf("reserve %s", ap), err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	dropAll := []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}
	if err := attachFilter(fd, dropAll); err != nil {
		return 0, openError(fmt.Sprintf("reserve %s: filter", ap), err)
	}
	// The kernel's own connections may linger in TIME-WAIT on the port.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, openError(fmt.Sprintf("reserve %s", ap), err)
	}
	err = unix.Bind(fd, sa)
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("%w: %s", ErrPortTaken, ap)
	}
	if err != nil {
		return 0, openError(fmt.Sprintf("reserve %s", ap), err)
	}
	return fd, nil
}
