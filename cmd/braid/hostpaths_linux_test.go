package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/paths"
)

// TestHostPaths prepares the host, looks, and takes it back.
func TestHostPaths(t *testing.T) {
	h := newHosts(t)
	h.needKernel()
	h.addUsersRules()
	before := h.state()
	look := func() (o paths.Overview) {
		t.Helper()
		code, stdout, stderr := h.run(h.client, "paths", "-j")
		if err := json.Unmarshal([]byte(stdout), &o); err != nil || code != 0 {
			t.Fatalf("exit code %d, %q, %q, %v", code, stdout, stderr, err)
		}
		return o
	}
	paths := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := h.run(h.client, append([]string{"paths"}, args...)...)
		if code != 0 {
			t.Fatalf("%q: exit code %d, %q", args, code, stderr)
		}
		return stdout
	}
	o := look()
	if len(o.Uplinks) != 2 || o.Uplinks[0].Name != "eth1" || o.Uplinks[1].State != "up" || len(o.Uplinks[1].Ways) != 2 ||
		!o.Kernel.MPTCP || len(o.Endpoints) != 0 || o.Limits.Subflows != 2 {
		t.Errorf("at first: %+v", o)
	}
	if w := o.Uplinks[1].Ways[0]; w.Addr.String() != "10.1.2.5" || w.Gateway.String() != "10.1.2.1" || w.LeavesBy != "eth1" || w.Endpoint != "" {
		t.Errorf("eth2: %+v", w)
	}
	if !slices.ContainsFunc(o.Hints, func(s string) bool { return strings.Contains(s, "braid paths setup") }) {
		t.Errorf("hints %q", o.Hints)
	}
	if text := paths(); !strings.Contains(text, "10.1.2.5/24 via 10.1.2.1 metric 200, but its packets leave by eth1") {
		t.Errorf("as text:\n%s", text)
	}

	// A dry run does nothing, and prints what setup would do.
	plan := paths("setup", "--dry-run", "--backup", "eth2")
	for _, want := range []string{"ip rule add pref 5201 from 10.1.2.5 lookup", "ip mptcp endpoint add 10.1.2.5 subflow backup dev eth2",
		"ip mptcp limits set"} {
		if !strings.Contains(plan, want) {
			t.Errorf("no %q in\n%s", want, plan)
		}
	}
	h.wantState("after a dry run", before)

	for _, again := range []bool{false, true} {
		if out := paths("setup", "--backup", "eth2"); !strings.Contains(out, "eth2: 10.1.2.5") {
			t.Errorf("setup, again=%v, says %q", again, out)
		}
		o = look()
		if len(o.Endpoints) != 4 || o.Limits.Subflows != 8 || len(o.Hints) != 0 || len(o.Installed) != 1 ||
			!o.Installed[0].Persistent || o.Uplinks[1].Ways[0].LeavesBy != "eth2" || o.Uplinks[1].Ways[0].Endpoint != "subflow backup" {
			t.Errorf("after setup, again=%v: %+v", again, o)
		}
	}
	if code, _, stderr := h.run(h.client, "paths", "setup", "--interface", "eth9"); code != exitFailed || !strings.Contains(stderr, "eth9") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if o := look(); len(o.Installed) != 1 {
		t.Errorf("a mistake has undone what was there: %+v", o.Installed)
	}

	// A download over the prepared host changes nothing about it.
	prepared := h.state()
	h.serveHTTP(file{1, 1 << 20})
	if code, r, stderr := h.get("http://10.9.9.9/file", "-o", "/dev/null"); code != 0 || !r.Multipath {
		t.Errorf("exit code %d, %+v, %s", code, r, stderr)
	}
	h.wantState("after a download", prepared)

	if code, stdout, _ := h.run(h.client, "cleanup"); code != 0 || stdout != "" {
		t.Errorf("cleanup: exit code %d, %q", code, stdout)
	}
	h.wantState("after cleanup", prepared)
	paths("setup", "--undo")
	h.wantState("after undo", before)
	if code, _, stderr := h.run(h.client, "paths", "setup", "--undo"); code != 0 || !strings.Contains(stderr, "nothing") {
		t.Errorf("undone twice: exit code %d, %q", code, stderr)
	}
}
