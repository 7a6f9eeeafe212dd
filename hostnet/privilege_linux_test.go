package hostnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWithoutPrivilege asks as a thread that has given up its rights.
func TestWithoutPrivilege(t *testing.T) {
	top := newTopology(t)
	dir := filepath.Join(t.TempDir(), "journals")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	top.host.Go(func() { // the thread ends with the function
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			done <- errno
			return
		}
		h, err := Open(dir)
		if err != nil {
			done <- err
			return
		}
		defer h.Close()
		if _, err := h.State(); err != nil {
			done <- fmt.Errorf("State: %w", err)
			return
		}
		_, err = h.Install("test", func(s State) (Plan, error) { return KernelPlan(s, KernelConfig{}) })
		done <- err
	})
	if err := <-done; !errors.Is(err, ErrPermission) {
		t.Errorf("got %v, want %v", err, ErrPermission)
	}
	if left, _ := filepath.Glob(dir + "/*.json"); left != nil {
		t.Errorf("journals left: %v", left)
	}
}

// TestCapabilityAlone installs as an ordinary user who has CAP_NET_ADMIN: in
// this user's own directory, with what root has noted in view.
func TestCapabilityAlone(t *testing.T) {
	top := newTopology(t)
	before := snapshot(t, top)
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	const user = 65534
	if err := os.Chown(run, user, user); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(run); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", run)
	done := make(chan error)
	top.host.Go(func() { // the thread ends with the function
		done <- func() error {
			if err := becomeAdmin(user); err != nil {
				return fmt.Errorf("change user: %w", err)
			}
			h, err := Open("")
			if err != nil {
				return err
			}
			defer h.Close()
			planner := func(s State) (Plan, error) { return KernelPlan(s, KernelConfig{}) }
			s, err := h.Install("test", planner)
			if err != nil {
				return fmt.Errorf("install: %w", err)
			}
			if all, err := h.Installed(); err != nil || len(all) != 1 || !all[0].Alive {
				return fmt.Errorf("installed: got %+v, %v", all, err)
			}
			if files, _ := filepath.Glob(filepath.Join(run, "braid", "test.*.json")); len(files) != 1 {
				return fmt.Errorf("journals: got %q, want one", files)
			}
			if err := s.Update(planner); err != nil {
				return fmt.Errorf("update: %w", err)
			}
			if err := s.Close(); err != nil {
				return fmt.Errorf("close: %w", err)
			}
			// What is to stay cannot be noted in a directory that does not.
			if _, err := h.InstallPersistent("stay", planner); err == nil || !strings.Contains(err.Error(), DefaultDir) {
				return fmt.Errorf("to stay: got %v, want an error that names %s", err, DefaultDir)
			}
			return nil
		}()
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantSame(t, "after Close", snapshot(t, top), before)
}

// becomeAdmin makes the thread another user's, who has CAP_NET_ADMIN and no
// other right.
func becomeAdmin(user uintptr) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, user, user, user); errno != 0 {
		return errno
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	const netAdmin = 1 << unix.CAP_NET_ADMIN
	sets := [2]unix.CapUserData{{Effective: netAdmin, Permitted: netAdmin}}
	return unix.Capset(&head, &sets[0])
}

// TestNobodyElsesDirectory: where everybody may make directories, one that
// somebody else has made is not taken for this user's.
func TestNobodyElsesDirectory(t *testing.T) {
	top := newTopology(t)
	dir := filepath.Join(t.TempDir(), "trap")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	var err error
	top.host.Do(func() {
		var h *Host
		if h, err = Open(dir); err != nil {
			return
		}
		defer h.Close()
		_, err = h.Install("test", func(s State) (Plan, error) { return KernelPlan(s, KernelConfig{}) })
	})
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names %s", err, dir)
	}
}
