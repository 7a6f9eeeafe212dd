// Package tun drives a Linux TUN interface, through which the kernel hands IP
// packets to this process and takes them from it.
//
// The interface has segmentation and checksum offload in both directions
// (IFF_VNET_HDR, TUNSETOFFLOAD): a TCP segment of up to 64 KiB crosses in one
// system call, and the kernel cuts it, or has joined it, on the other side.
// Everything happens in the goroutine that calls; nothing is allocated per
// packet.
//
// Open needs CAP_NET_ADMIN, or an existing interface that belongs to the user
// (ip tuntap add mode tun user NAME). It gives the interface neither addresses
// nor routes and does not bring it up; package hostnet does.
//
// On other systems than Linux, Open fails with ErrNotLinux.
package tun

import "errors"

// Config says which interface to open.
type Config struct {
	// Name is the interface's name. A "%d" in it stands for the first free
	// number; empty means "braid%d". An interface that exists is attached to
	// if it is a TUN interface nobody else has open.
	Name string
	// MTU is the largest IP packet in bytes that the interface carries uncut;
	// 0 leaves it as it is, which for a new interface is 1500.
	MTU int
}

// MaxPacket is the largest packet that can be read from an interface, and
// written to it with SegSize set: an IPv6 packet without jumbo payload.
const MaxPacket = 40 + 65535

var (
	// ErrNotLinux is returned by Open on other systems than Linux.
	ErrNotLinux = errors.New("tun: needs Linux")
	// ErrPermission is returned by Open without the privilege to make the
	// interface, or to attach to it.
	ErrPermission = errors.New("tun: needs CAP_NET_ADMIN, or an interface owned by this user")
	// ErrNoDriver is returned by Open when there is no /dev/net/tun.
	ErrNoDriver = errors.New("tun: the kernel offers no /dev/net/tun (modprobe tun)")
	// ErrGone is returned by Read and Write once the interface was deleted
	// by someone else.
	ErrGone = errors.New("tun: interface was deleted")
	// ErrPacket wraps the refusal of a packet by Write: its offload fields
	// do not suit it, or the kernel does not take it for a packet.
	ErrPacket = errors.New("tun: packet refused")
)
