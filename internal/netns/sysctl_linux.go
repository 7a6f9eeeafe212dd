package netns

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Sysctl reads a setting of the namespace, such as "net.mptcp.enabled". Its
// parts are separated by dots, or by slashes where a name holds a dot.
func (n *NS) Sysctl(name string) string {
	n.t.Helper()
	var b []byte
	var err error
	n.Do(func() { b, err = os.ReadFile(sysctlPath(name)) })
	n.must(err, "read %s", name)
	return strings.TrimSpace(string(b))
}

// SetSysctl changes a setting of the namespace.
func (n *NS) SetSysctl(name, value string) {
	n.t.Helper()
	var err error
	n.Do(func() { err = os.WriteFile(sysctlPath(name), []byte(value), 0) })
	n.must(err, "set %s", name)
}

func (n *NS) hasSysctl(name string) (ok bool) {
	n.Do(func() {
		_, err := os.Stat(sysctlPath(name))
		ok = err == nil
	})
	return ok
}

func sysctlPath(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return "/proc/sys/" + name
}

// inSysfs runs fn where /sys is as the namespace sees it. Sysfs shows the
// network devices of the namespace that mounted it, so a throw-away thread with
// mounts of its own mounts one; both end with the goroutine.
func (n *NS) inSysfs(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := n.mountSysfs()
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

func (n *NS) mountSysfs() error {
	if err := vnetns.Set(n.ns); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	return nil
}
