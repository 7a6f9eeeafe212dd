package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket options of level SOL_MPTCP (linux/mptcp.h), and one of TCP
// (linux/tcp.h).
const (
	optInfo         = 1
	optTCPInfo      = 2
	optSubflowAddrs = 3
	optFullInfo     = 4

	optTCPIsMPTCP = 43
)

const enabledSysctl = "/proc/sys/net/mptcp/enabled"

// Supported returns nil where the kernel offers Multipath TCP sockets to this
// process in the network namespace of the calling thread, and otherwise an
// error that wraps ErrUnsupported and says why.
func Supported() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without IPv4
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", ErrUnsupported, reason(err))
	}
	unix.Close(fd)
	return nil
}

func reason(err error) string {
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return "it is switched off (sysctl net.mptcp.enabled=0)"
	case errors.Is(err, unix.EPROTONOSUPPORT):
		if b, err := os.ReadFile(enabledSysctl); err == nil && strings.TrimSpace(string(b)) == "0" {
			return "it is switched off (sysctl net.mptcp.enabled=0)"
		}
		return "it was built without (CONFIG_MPTCP)"
	case errors.Is(err, unix.EINVAL):
		return "it is older than Linux 5.6"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return "its security policy forbids the socket (" + err.Error() + ")"
	}
	return err.Error()
}

// IsMPTCP tells whether the connection is Multipath TCP now. It is not when the
// peer has no MPTCP or the connection fell back.
func (c *Conn) IsMPTCP() (bool, error) {
	var is int
	err := control(c, func(fd int) (err error) {
		is, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, optTCPIsMPTCP)
		return err
	})
	if unknownOption(err) {
		return c.MultipathTCP() // a kernel older than the option
	}
	return is != 0, err
}

// Info reads MPTCP_INFO. The error is ErrNotMPTCP for a connection that is
// plain TCP.
func (c *Conn) Info() (info Info, err error) {
	err = control(c, func(fd int) (err error) {
		info, err = readInfo(fd)
		return err
	})
	return info, err
}

// FullInfo reads MPTCP_FULL_INFO, or, before Linux 6.6, MPTCP_INFO and the
// subflows by two more calls. The error is ErrNotMPTCP for a connection that is
// plain TCP.
func (c *Conn) FullInfo() (FullInfo, error) { return FullInfoOf(c.TCPConn) }

// FullInfoOf is Conn.FullInfo for any connection of the kernel's.
func FullInfoOf(c syscall.Conn) (info FullInfo, err error) {
	err = control(c, func(fd int) (err error) {
		// Most connections of a busy server are plain TCP, and short: asking for
		// more than this would cost more than they do.
		if p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && p == unix.IPPROTO_TCP {
			return ErrNotMPTCP
		}
		info, err = readFullInfo(fd)
		if unknownOption(err) {
			info, err = readPiecewise(fd)
		}
		return err
	})
	return info, err
}

// TCPInfo reads TCP_INFO: of an MPTCP connection's first subflow, or of the
// connection itself if it is plain TCP.
func (c *Conn) TCPInfo() (TCPInfo, error) { return TCPInfoOf(c.TCPConn) }

// TCPInfoOf is Conn.TCPInfo for any connection of the kernel's.
func TCPInfoOf(c syscall.Conn) (info TCPInfo, err error) {
	err = control(c, func(fd int) error {
		b := make([]byte, tcpInfoSize)
		n, err := getsockopt(fd, unix.IPPROTO_TCP, unix.TCP_INFO, b)
		info = decodeTCPInfo(b[:n])
		return err
	})
	return info, err
}

// control runs f on the connection's descriptor.
func control(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return os.NewSyscallError("getsockopt", ferr)
}

// unknownOption tells that the socket does not know the option: the kernel is
// older, or, of options of level SOL_MPTCP, the connection is plain TCP, where
// IPv4 and IPv6 answer differently.
func unknownOption(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOPROTOOPT)
}

func readInfo(fd int) (Info, error) {
	b := make([]byte, infoSize)
	n, err := getsockopt(fd, unix.SOL_MPTCP, optInfo, b)
	if unknownOption(err) {
		return Info{}, ErrNotMPTCP
	}
	return decodeInfo(b[:n]), err
}

// Offsets in struct mptcp_full_info.
const (
	offTCPInfoUser     = 4
	offSubflowInfoUser = 12
	offNumSubflows     = 16
	offArraysUser      = 20
	offSubflowInfo     = 24 // pointers, 64 bits wide everywhere
	offTCPInfo         = 32
	offInfo            = 40
)

// Struct mptcp_subflow_info is a number and, aligned as a pointer is, struct
// mptcp_subflow_addrs.
const (
	offAddrs         = int(unsafe.Sizeof(uintptr(0)))
	subflowAddrsSize = 2 * sockaddrSize
	subflowInfoSize  = offAddrs + subflowAddrsSize
)

func readFullInfo(fd int) (FullInfo, error) {
	for room := 8; ; {
		info, total, err := readFullInfoOf(fd, room)
		if err != nil || total <= room {
			return info, err
		}
		room = total + 4 // more may come before the next call
	}
}

// readFullInfoOf reads the first room subflows, and how many there are.
func readFullInfoOf(fd, room int) (info FullInfo, total int, err error) {
	subflows := make([]byte, room*subflowInfoSize)
	tcps := make([]byte, room*tcpInfoSize)
	b := make([]byte, offInfo+infoSize)
	// The structure holds pointers where the garbage collector sees numbers.
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&subflows[0])
	pin.Pin(&tcps[0])
	binary.NativeEndian.PutUint32(b[offTCPInfoUser:], tcpInfoSize)
	binary.NativeEndian.PutUint32(b[offSubflowInfoUser:], uint32(subflowInfoSize))
	binary.NativeEndian.PutUint32(b[offArraysUser:], uint32(room))
	binary.NativeEndian.PutUint64(b[offSubflowInfo:], uint64(uintptr(unsafe.Pointer(&subflows[0]))))
	binary.NativeEndian.PutUint64(b[offTCPInfo:], uint64(uintptr(unsafe.Pointer(&tcps[0]))))
	n, err := getsockopt(fd, unix.SOL_MPTCP, optFullInfo, b)
	if err != nil {
		return info, 0, err
	}
	total = int(view(b).u32(offNumSubflows))
	info.Info = decodeInfo(b[min(offInfo, n):n])
	for i := range min(total, room) {
		sf := view(subflows[i*subflowInfoSize:][:subflowInfoSize])
		s := Subflow{ID: sf.u32(0), TCP: decodeTCPInfo(tcps[i*tcpInfoSize:][:tcpInfoSize])}
		s.Local, s.Remote = sf[offAddrs:].addrs()
		info.Subflows = append(info.Subflows, s)
	}
	return info, total, nil
}

// readPiecewise gathers what readFullInfo does by the options of older kernels.
// Subflows that come or go between the calls may be missing.
func readPiecewise(fd int) (info FullInfo, err error) {
	info.Info, err = readInfo(fd)
	if err != nil {
		return info, err
	}
	addrs, err := readSubflowData(fd, optSubflowAddrs, subflowAddrsSize)
	if err != nil {
		return info, err
	}
	tcps, err := readSubflowData(fd, optTCPInfo, tcpInfoSize)
	if err != nil {
		return info, err
	}
	for i := range min(len(addrs), len(tcps)) {
		s := Subflow{TCP: decodeTCPInfo(tcps[i])}
		s.Local, s.Remote = addrs[i].addrs()
		info.Subflows = append(info.Subflows, s)
	}
	return info, nil
}

// readSubflowData reads an option that gives an element of the given size for
// each subflow, after struct mptcp_subflow_data.
func readSubflowData(fd, opt, size int) ([]view, error) {
	const (
		headerSize = 16
		offCount   = 4
		offSize    = 12
	)
	for room := 8; ; {
		b := make([]byte, headerSize+room*size)
		binary.NativeEndian.PutUint32(b, headerSize)
		binary.NativeEndian.PutUint32(b[offSize:], uint32(size))
		if _, err := getsockopt(fd, unix.SOL_MPTCP, opt, b); err != nil {
			return nil, err
		}
		count := int(view(b).u32(offCount))
		if count > room {
			room = count + 4
			continue
		}
		var elements []view
		for i := range count {
			elements = append(elements, b[headerSize+i*size:][:size])
		}
		return elements, nil
	}
}

// getsockopt fills b and returns how much of it the kernel wrote.
func getsockopt(fd, level, opt int, b []byte) (int, error) {
	size := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return min(int(size), len(b)), nil
}
