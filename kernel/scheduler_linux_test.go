package kernel

import (
	"os"
	"strings"
	"testing"
)

// TestCheckScheduler agrees with what the kernel says and with nothing else.
func TestCheckScheduler(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/mptcp/scheduler")
	if err != nil {
		t.Skip(err)
	}
	now := strings.TrimSpace(string(b))
	if err := CheckScheduler(now); err != nil {
		t.Errorf("%s: %v", now, err)
	}
	if err := CheckScheduler("nosuch"); err == nil || !strings.Contains(err.Error(), "net.mptcp.available_schedulers") {
		t.Errorf("got %v, want the setting that has the list", err)
	}
}
