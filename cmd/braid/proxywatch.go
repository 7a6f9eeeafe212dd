package main

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How long a file has to be left alone before it is read, since editors write
// in several steps; and how long that may be put off.
const (
	settleTime     = 200 * time.Millisecond
	settleAtLatest = 2 * time.Second
)

// fileWatch tells when the content of a file has changed. It watches the
// directory, since a file that is replaced is another file; and that of what
// the name leads to, if it is a symbolic link.
type fileWatch struct {
	name    string
	watcher *fsnotify.Watcher
	changed chan struct{} // one is enough, however often it has changed
	seen    [sha256.Size]byte
}

// watchFile watches until close.
func watchFile(name string) (*fileWatch, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &fileWatch{name: name, watcher: watcher, changed: make(chan struct{}, 1)}
	if err := watcher.Add(filepath.Dir(name)); err != nil {
		watcher.Close()
		return nil, err
	}
	w.followLink()
	w.seen, _ = w.digest()
	go w.run()
	return w, nil
}

func (w *fileWatch) close() { w.watcher.Close() }

// followLink watches the directory of the file that the name leads to.
func (w *fileWatch) followLink() {
	if target, err := filepath.EvalSymlinks(w.name); err == nil {
		// A directory that is watched already stays so. One that cannot be
		// watched may still change together with the link.
		_ = w.watcher.Add(filepath.Dir(target))
	}
}

// digest tells contents apart.
func (w *fileWatch) digest() (sum [sha256.Size]byte, err error) {
	text, err := os.ReadFile(w.name)
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(text), nil
}

// run waits until the file is left alone, and looks then whether it has changed.
func (w *fileWatch) run() {
	var settled <-chan time.Time
	var since time.Time // the first event that settled stands for
	note := func() {
		now := time.Now()
		if settled == nil {
			since = now
		}
		settled = time.After(min(settleTime, max(settleAtLatest-now.Sub(since), 0)))
	}
	for {
		select {
		case e, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			if w.concerns(e) {
				note()
			}
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				note() // it may have been among those that were lost
			}
		case <-settled:
			settled = nil
			w.look()
		}
	}
}

// concerns leaves out what cannot be about the file, such as a log that is
// written in the same directory. What is created or renamed may be a directory
// that the file's name leads through.
func (w *fileWatch) concerns(e fsnotify.Event) bool {
	return filepath.Base(e.Name) == filepath.Base(w.name) || e.Has(fsnotify.Create|fsnotify.Rename|fsnotify.Remove)
}

// look tells of another content. A file that is gone is on its way somewhere.
func (w *fileWatch) look() {
	w.followLink()
	sum, err := w.digest()
	if err != nil || sum == w.seen {
		return
	}
	w.seen = sum
	select {
	case w.changed <- struct{}{}:
	default:
	}
}
