package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

// Host reads and changes the network namespace in which it was opened. Its
// methods, and those of Setup, are called by threads of that namespace, one at
// a time.
type Host struct {
	dir       string // of journals
	own       bool   // dir is this user's, since DefaultDir cannot be written
	namespace string
	nl        *netlink.Handle
	nft       *nftables.Conn
	pm        *kernel.PathManager // nil until needed
}

// Open opens the network namespace of the calling thread. dir is where journals
// are kept; empty means DefaultDir, or a directory of this user's where that
// cannot be written. All Hosts of a namespace use the same.
func Open(dir string) (*Host, error) {
	own := false
	if dir == "" {
		dir = chooseDir()
		own = dir != DefaultDir
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("hostnet: netlink: %w", err)
	}
	nft, err := nftables.New(nftables.AsLasting())
	if err != nil {
		nl.Close()
		return nil, fmt.Errorf("hostnet: nftables: %w", err)
	}
	h := &Host{dir: dir, own: own, nl: nl, nft: nft}
	if h.namespace, err = currentNamespace(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close releases the Host's sockets. What is installed stays.
func (h *Host) Close() {
	h.nl.Close()
	h.nft.CloseLasting()
	if h.pm != nil {
		h.pm.Close()
	}
}

// currentNamespace names the network namespace of the calling thread: by its
// cookie, which no other gets as long as the system runs, or, before Linux
// 5.14, by an inode number, which may come again. A journal of a namespace that
// is gone must not be taken for one of its successor.
func currentNamespace() (string, error) {
	if cookie, err := namespaceCookie(); err == nil {
		return fmt.Sprintf("net%d", cookie), nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", fmt.Errorf("hostnet: network namespace: %w", err)
	}
	return fmt.Sprintf("%d-%d", st.Dev, st.Ino), nil
}

func namespaceCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// pathManager opens the kernel's path manager when it is first needed.
func (h *Host) pathManager() (*kernel.PathManager, error) {
	if h.pm == nil {
		pm, err := kernel.OpenPathManager()
		if err != nil {
			return nil, err
		}
		h.pm = pm
	}
	return h.pm, nil
}

// permission adds what is missing to an error that is for want of it.
func permission(err error) error {
	if errors.Is(err, kernel.ErrPermission) || errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrPermission, err)
	}
	return err
}
