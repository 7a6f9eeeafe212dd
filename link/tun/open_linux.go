package tun

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	driver      = "/dev/net/tun"
	defaultName = "braid%d"
	offloads    = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
)

// Open makes, or attaches to, the interface cfg.Name in the network namespace
// of the calling thread. An interface that Open made goes away with Close.
func Open(cfg Config) (*Device, error) {
	d, err := openQueue(cfg, 0)
	if err != nil {
		return nil, err
	}
	if err := d.configure(cfg.MTU); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// OpenQueues opens an interface with n queues, each a Device of its own. The
// kernel gives the packets of one flow to one queue: the one through which that
// flow's packets were last written, else one picked by a hash of the flow. The
// interface goes away when the last queue is closed.
func OpenQueues(cfg Config, n int) (_ []*Device, err error) {
	var queues []*Device
	defer func() {
		if err != nil {
			for _, d := range queues {
				d.Close()
			}
		}
	}()
	for range n {
		d, err := openQueue(cfg, unix.IFF_MULTI_QUEUE)
		if err != nil {
			return nil, err
		}
		queues = append(queues, d)
		cfg.Name = d.name // "%d" is settled by the first
	}
	for _, d := range queues {
		if err := d.configure(cfg.MTU); err != nil {
			return nil, err
		}
	}
	return queues, nil
}

// openQueue opens one descriptor of the interface.
func openQueue(cfg Config, flags uint16) (*Device, error) {
	name := cfg.Name
	if name == "" {
		name = defaultName
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, fmt.Errorf("tun: interface name %q: %w", name, err)
	}
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(driver, err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, openError(name, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("tun: %s: the kernel's TUN has no segmentation offload: %w", name, err)
	}
	return newDevice(fd, ifr.Name())
}

func openError(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrPermission, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w (%w)", ErrNoDriver, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("tun: %s exists and is no TUN interface of this kind: %w", what, err)
	}
	return fmt.Errorf("tun: %s: %w", what, err)
}

// configure sets the interface's MTU, unless mtu is 0, and learns its index
// and MTU. The ioctls go to any socket of the namespace.
func (d *Device) configure(mtu int) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(d.name)
	if err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	if mtu != 0 {
		ifr.SetUint32(uint32(mtu))
		if err := unix.IoctlIfreq(s, unix.SIOCSIFMTU, ifr); err != nil {
			return fmt.Errorf("tun: set the mtu of %s to %d: %w", d.name, mtu, err)
		}
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFMTU, ifr); err != nil {
		return fmt.Errorf("tun: read the mtu of %s: %w", d.name, err)
	}
	d.mtu = int(ifr.Uint32())
	if err := unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr); err != nil {
		return fmt.Errorf("tun: read the index of %s: %w", d.name, err)
	}
	d.index = int(ifr.Uint32())
	return nil
}
