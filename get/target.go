package get

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"
)

// origin says what a partial file is a part of.
type origin struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Date         string `json:"date,omitempty"` // of the answer, by the server's clock
	Size         int64  `json:"size"`           // -1: not told
}

// validator is what If-Range takes, or "" when there is nothing strong enough to
// tell one version from another: an ETag that is not weak, or a time of
// modification at least a second before the answer (RFC 9110 sections 8.8.2.2
// and 13.1.5).
func (o *origin) validator() string {
	if o.ETag != "" && !strings.HasPrefix(o.ETag, "W/") {
		return o.ETag
	}
	modified, err := http.ParseTime(o.LastModified)
	if err != nil {
		return ""
	}
	date, err := http.ParseTime(o.Date)
	if err != nil || date.Sub(modified) < time.Second {
		return ""
	}
	return o.LastModified
}

// target is where the bytes go. It belongs to the goroutine of Run.
type target struct {
	name   string // of the whole file; "" for a stream
	part   *os.File
	w      io.Writer
	offset int64 // bytes there
	origin *origin
	hash   hash.Hash // nil: not wanted
}

const (
	partSuffix = ".part"
	metaSuffix = ".part.json"
)

// openTarget opens the file, and takes up what an earlier download left. h, if
// not nil, gets all the bytes of the file. why says what became of what was
// there, if anything was.
func openTarget(name string, stream io.Writer, url string, restart bool, h hash.Hash) (t *target, why string, err error) {
	if stream != nil {
		return &target{w: stream, hash: h}, "", nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, "", fmt.Errorf("%w: %s is a directory", ErrFile, name)
	} else if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0) // a device or a named pipe
		if err != nil {
			return nil, "", fileError(err)
		}
		return &target{w: f, part: f, hash: h}, "", nil
	}
	f, err := os.OpenFile(name+partSuffix, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, "", fileError(err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, "", err
	}
	t = &target{name: name, part: f, w: f, hash: h}
	if why, err = t.takeUp(url, restart); err != nil {
		f.Close()
		return nil, "", err
	}
	return t, why, nil
}

// takeUp goes on where an earlier download ended, if that is safe.
func (t *target) takeUp(url string, restart bool) (why string, err error) {
	size, err := t.part.Seek(0, io.SeekEnd)
	if err != nil {
		return "", fileError(err)
	}
	if size == 0 {
		return "", nil
	}
	o, why := t.readOrigin(url)
	if restart {
		why = "begun anew, as told"
	}
	if why == "" && o.Size >= 0 && size > o.Size {
		why = "more is there than the file has"
	}
	if why != "" {
		return why, t.reset()
	}
	if t.hash != nil {
		if _, err := t.part.Seek(0, io.SeekStart); err != nil {
			return "", fileError(err)
		}
		if size, err = io.Copy(t.hash, t.part); err != nil {
			return "", fileError(err)
		}
	}
	t.origin, t.offset = o, size
	return "", nil
}

func (t *target) readOrigin(url string) (o *origin, why string) {
	b, err := os.ReadFile(t.name + metaSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "nothing says what it is a part of"
	}
	if err != nil {
		return nil, err.Error()
	}
	o = new(origin)
	if err := json.Unmarshal(b, o); err != nil {
		return nil, fmt.Sprintf("%s: %v", t.name+metaSuffix, err)
	}
	switch {
	case o.URL != url:
		return nil, "it is a part of another URL's file"
	case o.validator() == "":
		return nil, "the server gave it neither a strong ETag nor a modification time"
	}
	return o, ""
}

// begin notes what is going to be written, from the first byte on.
func (t *target) begin(o *origin) error {
	if err := t.reset(); err != nil {
		return err
	}
	t.origin = o
	if t.name == "" {
		return nil
	}
	b, err := json.MarshalIndent(o, "", "\t")
	if err == nil {
		err = os.WriteFile(t.name+metaSuffix, append(b, '\n'), 0o600) // URLs hold passwords and tokens
	}
	if err != nil {
		return fileError(err)
	}
	return nil
}

// errStream: bytes that went out cannot be taken back.
var errStream = errors.New("the file has changed at the server, and what was written already cannot be taken back")

// reset forgets what is there.
func (t *target) reset() error {
	if t.offset > 0 && t.name == "" {
		return fmt.Errorf("%w: %w", ErrFile, errStream)
	}
	t.offset, t.origin = 0, nil
	if t.hash != nil {
		t.hash.Reset()
	}
	if t.name == "" {
		return nil
	}
	if err := os.Remove(t.name + metaSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err)
	}
	if err := t.part.Truncate(0); err != nil {
		return fileError(err)
	}
	if _, err := t.part.Seek(0, io.SeekStart); err != nil {
		return fileError(err)
	}
	return nil
}

// Write implements io.Writer. What fits is kept when the rest does not.
func (t *target) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.offset += int64(n)
	if t.hash != nil {
		t.hash.Write(b[:n])
	}
	if err != nil {
		err = fileError(err)
	}
	return n, err
}

// finish gives the complete file its name.
func (t *target) finish() error {
	if t.part == nil {
		return nil
	}
	if t.name == "" { // a device
		if err := t.part.Close(); err != nil {
			return fileError(err)
		}
		return nil
	}
	if err := t.part.Sync(); err != nil {
		return fileError(err)
	}
	if err := os.Rename(t.name+partSuffix, t.name); err != nil {
		return fileError(err)
	}
	if err := os.Remove(t.name + metaSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err)
	}
	if err := t.part.Close(); err != nil {
		return fileError(err)
	}
	return nil
}

// leave closes the file as it is. One that is still empty is removed. It
// returns the name under which bytes are kept, if any are.
func (t *target) leave() (kept string) {
	if t.part == nil {
		return ""
	}
	if t.name == "" {
		t.part.Close()
		return ""
	}
	kept = t.name + partSuffix
	if t.offset == 0 {
		os.Remove(t.name + metaSuffix)
		os.Remove(kept)
		kept = ""
	}
	t.part.Close()
	return kept
}

// forget removes the note of what the bytes are a part of, so that nobody goes
// on from them.
func (t *target) forget() {
	if t.name != "" {
		os.Remove(t.name + metaSuffix)
	}
}
