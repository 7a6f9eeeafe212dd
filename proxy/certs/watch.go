package certs

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher has a Server read its files again when something about them changes.
//
// It watches directories: tools put a new file in the place of the old one by
// renaming, and Kubernetes and certbot change symbolic links on the way to it.
// Any change in one of them leads to reading, and what was read decides.
type watcher struct {
	server *Server
	notify *fsnotify.Watcher // nil: not to be had
	stop   chan struct{}
	once   sync.Once
	done   chan struct{}
}

const (
	// settle is for how long nothing happens before files are read: a
	// certificate and its key are not written at once.
	settle = 100 * time.Millisecond
	// settleMost is how long that may go on.
	settleMost = time.Second
	// poll is how often files are read anyhow, since file systems of networks
	// do not tell of changes.
	poll = time.Minute
)

// watch begins.
func watch(s *Server) *watcher {
	w := &watcher{server: s, stop: make(chan struct{}), done: make(chan struct{})}
	if len(s.paths()) == 0 {
		close(w.done)
		return w
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("changes of certificate files are found within a minute only", "error", err)
	} else {
		w.notify = notify
		w.refresh()
	}
	go w.run()
	return w
}

// paths gives the files in use.
func (s *Server) paths() []string {
	var paths []string
	for _, c := range s.settings.Certificates {
		paths = append(paths, string(c.Cert))
		if c.Key != "" {
			paths = append(paths, string(c.Key))
		}
	}
	if s.settings.ClientCA != "" {
		paths = append(paths, string(s.settings.ClientCA))
	}
	return paths
}

// refresh watches the directories that matter now. Some may not be there, and
// come later: then the one above, or polling, notices.
func (w *watcher) refresh() {
	if w.notify == nil {
		return
	}
	want := make(map[string]bool)
	for _, path := range w.server.paths() {
		addDirectories(want, path)
	}
	for _, dir := range w.notify.WatchList() {
		if !want[dir] {
			w.notify.Remove(dir)
		}
	}
	for dir := range want {
		w.notify.Add(dir) // again: it may be another one of the same name
	}
}

// maxLinks bounds the symbolic links on the way to a file, as the kernel does.
const maxLinks = 40

// addDirectories adds the directories in which something can change that decides
// what is found at path: that of the file, and that of each symbolic link on
// the way to it.
func addDirectories(dirs map[string]bool, path string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	for range maxLinks {
		next, holder, ok := followLink(path)
		if !ok {
			dirs[filepath.Dir(path)] = true
			return
		}
		dirs[holder] = true
		path = next
	}
}

// followLink resolves the first symbolic link in path, and gives the directory
// that holds it.
func followLink(path string) (next, holder string, ok bool) {
	for end := 1; end <= len(path); end++ {
		if end < len(path) && !os.IsPathSeparator(path[end]) {
			continue
		}
		part := path[:end]
		target, err := os.Readlink(part)
		if err != nil {
			continue
		}
		holder = filepath.Dir(part)
		if !filepath.IsAbs(target) {
			target = filepath.Join(holder, target)
		}
		return filepath.Clean(target + path[end:]), holder, true
	}
	return "", "", false
}

// run is the goroutine.
func (w *watcher) run() {
	defer close(w.done)
	var events chan fsnotify.Event // of mode changes too: a file may have become readable
	var errs chan error
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
		defer w.notify.Close()
	}
	timer := time.NewTimer(poll)
	defer timer.Stop()
	var since time.Time // of the first event not dealt with
	for {
		select {
		case <-w.stop:
			return
		case <-errs: // events may be missing
		case <-events:
		case <-timer.C:
			since = time.Time{}
			w.server.Reload() // which says what is wrong
			w.refresh()
			timer.Reset(poll)
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		timer.Reset(max(0, min(settle, settleMost-time.Since(since))))
	}
}

func (w *watcher) close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
}
