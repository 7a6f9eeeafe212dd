package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// CheckScheduler returns nil if the sockets that are made from now on in the
// network namespace of the calling thread have the scheduler of that name. The
// kernel has one setting for all of them, net.mptcp.scheduler, and none for a
// single socket; the error says so.
func CheckScheduler(name string) error {
	now, available := setting("scheduler"), strings.Fields(setting("available_schedulers"))
	if now == "" { // before Linux 6.6
		now = "default"
	}
	switch {
	case now == name:
		return nil
	case len(available) > 0 && !slices.Contains(available, name):
		return fmt.Errorf("scheduler %s: the kernel has %s alone (sysctl net.mptcp.available_schedulers)", name, strings.Join(available, ", "))
	}
	return fmt.Errorf("scheduler %s: the kernel has one setting for all connections, which is %s (sysctl net.mptcp.scheduler)", name, now)
}

// setting reads a setting of the kernel's Multipath TCP; "" where there is none.
func setting(name string) string {
	b, err := os.ReadFile("/proc/sys/net/mptcp/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
