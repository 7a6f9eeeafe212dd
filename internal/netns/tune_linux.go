package netns

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Offload is a set of interface offloads as ethtool knows them.
type Offload uint

// Offloads. A veth pair has all of them on from the start, except GRO.
const (
	RxChecksum Offload = 1 << iota
	TxChecksum
	ScatterGather
	TSO
	GSO
	GRO
)

// Commands of the SIOCETHTOOL ioctl (linux/ethtool.h).
var ethtoolSet = []struct {
	offload Offload
	cmd     uint32
}{
	{RxChecksum, 0x15},
	{TxChecksum, 0x17},
	{ScatterGather, 0x19},
	{TSO, 0x1f},
	{GSO, 0x24},
	{GRO, 0x2c},
}

// SetOffload switches the offloads on or off.
func (e *End) SetOffload(which Offload, on bool) {
	e.NS.t.Helper()
	for _, s := range ethtoolSet {
		if which&s.offload != 0 {
			e.NS.must(e.ethtool(s.cmd, on), "ethtool %#x on %s", s.cmd, e.Name)
		}
	}
}

func (e *End) ethtool(cmd uint32, on bool) (err error) {
	value := struct{ cmd, data uint32 }{cmd: cmd}
	if on {
		value.data = 1
	}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte // struct ifreq holds a union of 24 bytes
	}{data: unsafe.Pointer(&value)}
	copy(req.name[:unix.IFNAMSIZ-1], e.Name)
	e.NS.Do(func() {
		var fd int
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return
		}
		defer unix.Close(fd)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
		if errno != 0 {
			err = errno
		}
	})
	return err
}

// SetRPS spreads the receive work of every queue over the CPUs in the mask
// (bit 0 is the first CPU), by flow. Without it kernel MPTCP over veth reorders
// whenever a sender moves between CPUs.
func (e *End) SetRPS(cpus uint64) {
	e.NS.t.Helper()
	l, err := e.NS.nl.LinkByIndex(e.Index)
	e.NS.must(err, "find %s", e.Name)
	for q := range max(l.Attrs().NumRxQueues, 1) {
		err := e.NS.inSysfs(func() error {
			return os.WriteFile(rpsFile(e.Name, q), []byte(strconv.FormatUint(cpus, 16)), 0)
		})
		e.NS.must(err, "set rps of %s", e.Name)
	}
}

func rpsFile(dev string, queue int) string {
	return fmt.Sprintf("/sys/class/net/%s/queues/rx-%d/rps_cpus", dev, queue)
}

// Shape is a rate limit with a queue in front of it (a token bucket filter).
type Shape struct {
	Rate  int64 // bits per second
	Burst int   // bytes sent at line rate; 0: 5 ms of Rate, at least 16 KiB
	Limit int   // bytes the queue holds; 0: 100 ms of Rate, at least 64 KiB
}

// SetShape limits what the interface sends. A zero Rate takes the limit off.
func (e *End) SetShape(s Shape) {
	e.NS.t.Helper()
	attrs := netlink.QdiscAttrs{
		LinkIndex: e.Index,
		Handle:    netlink.MakeHandle(1, 0),
		Parent:    netlink.HANDLE_ROOT,
	}
	if s.Rate == 0 {
		e.NS.must(e.NS.nl.QdiscDel(&netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: "tbf"}),
			"take the limit off %s", e.Name)
		return
	}
	bytes := s.Rate / 8
	if s.Burst == 0 {
		s.Burst = int(max(bytes/200, 16<<10))
	}
	if s.Limit == 0 {
		s.Limit = int(max(bytes/10, 64<<10))
	}
	e.NS.must(e.NS.nl.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: attrs,
		Rate:       uint64(bytes),
		Limit:      uint32(s.Limit),
		Buffer:     netlink.Xmittime(uint64(bytes), uint32(s.Burst)),
	}), "limit %s to %d bit/s", e.Name, s.Rate)
}
