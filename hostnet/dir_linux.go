package hostnet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ownDir is where this user's journals are when DefaultDir cannot be written:
// CAP_NET_ADMIN is all that a user needs beside it.
//
// A journal is an order to whoever cleans up next. So everybody writes, and
// obeys, those of one directory alone, and reads those in DefaultDir for what
// they say of the host.
func ownDir() string {
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		return filepath.Join(run, "braid")
	}
	// What a file tells that outlived the system's last run is no longer so.
	boot, _ := os.ReadFile(procSys + "kernel/random/boot_id")
	return filepath.Join(os.TempDir(), fmt.Sprintf("braid-%d-%s", os.Geteuid(), bytes.TrimSpace(boot)))
}

// chooseDir gives the directory for journals of this user's.
func chooseDir() string {
	switch err := unix.Faccessat(unix.AT_FDCWD, DefaultDir, unix.W_OK, unix.AT_EACCESS); {
	case err == nil:
		return DefaultDir
	case errors.Is(err, fs.ErrNotExist) && unix.Faccessat(unix.AT_FDCWD, filepath.Dir(DefaultDir), unix.W_OK, unix.AT_EACCESS) == nil:
		return DefaultDir
	}
	return ownDir()
}

// makeDir makes the directory of journals. One that belongs to somebody else,
// as may be where everybody can make directories, is not taken.
func (h *Host) makeDir() error {
	mode := fs.FileMode(0o755)
	if h.dir != DefaultDir {
		mode = 0o700
	}
	if err := os.MkdirAll(h.dir, mode); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(h.dir, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: h.dir, Err: err}
	}
	owner := int(st.Uid)
	if h.dir != DefaultDir && (st.Mode&unix.S_IFMT != unix.S_IFDIR || owner != os.Geteuid() && owner != 0) {
		return fmt.Errorf("%s is not a directory of this user's", h.dir)
	}
	return nil
}

// lockDir keeps other processes from planning and changing at the same time.
// Whoever holds it is quick. It fails with ErrPermission for those who cannot
// change anything anyway.
func (h *Host) lockDir() (unlock func(), err error) {
	if !mayAdminister() {
		return nil, ErrPermission
	}
	if err := h.makeDir(); err != nil {
		return nil, fmt.Errorf("hostnet: journals: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(h.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hostnet: journals: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("hostnet: lock %s: %w", h.dir, err)
	}
	return func() { f.Close() }, nil
}

// mayAdminister tells whether the calling thread has CAP_NET_ADMIN. In a user
// namespace it may have that and still not be allowed to: then the first change
// fails.
func mayAdminister() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return true // not known: the first change tells
	}
	return sets[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
