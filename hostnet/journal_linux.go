package hostnet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// journalPath keeps namespaces apart, which may share the directory.
func (h *Host) journalPath(tag string) string {
	return filepath.Join(h.dir, tag+"."+h.namespace+".json")
}

// journals reads the journals of this namespace, of processes alive or dead,
// this user's and root's.
func (h *Host) journals() ([]*journal, error) {
	dirs := []string{h.dir}
	if h.own {
		dirs = append(dirs, DefaultDir)
	}
	var all []*journal
	for _, dir := range dirs {
		some, err := h.journalsIn(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (h *Host) journalsIn(dir string) ([]*journal, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*."+h.namespace+".json"))
	if err != nil {
		return nil, fmt.Errorf("hostnet: journals: %w", err)
	}
	var all []*journal
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("hostnet: journal: %w", err)
		}
		j, err := decodeJournal(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		j.path = path
		if j.Namespace == h.namespace {
			all = append(all, j)
		}
	}
	return all, nil
}

// writeJournal replaces the journal on disk by j, and returns it locked. The
// new file is complete and locked before it has the name.
func (h *Host) writeJournal(j *journal) (_ *os.File, err error) {
	b, err := j.encode()
	if err != nil {
		return nil, fmt.Errorf("hostnet: journal: %w", err)
	}
	f, err := os.CreateTemp(h.dir, unfinished)
	if err != nil {
		return nil, fmt.Errorf("hostnet: journal: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("hostnet: journal: %w", err)
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	if err := f.Chmod(0o644); err != nil { // whoever looks at the host may see it
		return nil, err
	}
	if _, err := f.Write(b); err != nil {
		return nil, err
	}
	return f, os.Rename(f.Name(), h.journalPath(j.Tag))
}

// unfinished is the pattern of journals without a name yet.
const unfinished = ".new-*"

// removeUnfinished removes what processes left that died while they wrote a
// journal. The directory is locked, so nobody is writing one.
func (h *Host) removeUnfinished() {
	paths, _ := filepath.Glob(filepath.Join(h.dir, unfinished)) // fails on a bad pattern only
	for _, path := range paths {
		os.Remove(path)
	}
}

// openJournal opens a journal and tells whether its process is alive. Of a dead
// one's the caller holds the lock until it closes the file.
func openJournal(path string) (j *journal, f *os.File, alive bool, err error) {
	f, err = os.Open(path)
	if err != nil {
		return nil, nil, false, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		alive = true
	}
	b, err := io.ReadAll(f)
	if err == nil {
		j, err = decodeJournal(b)
	}
	if err != nil {
		f.Close()
		return nil, nil, false, err
	}
	j.path = path
	return j, f, alive, nil
}
