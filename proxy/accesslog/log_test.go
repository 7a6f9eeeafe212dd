package accesslog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/status"
)

func openFile(t *testing.T, format config.AccessFormat, o Options) (*Log, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "access.log")
	l, err := Open(&config.AccessLog{Format: format, Output: name}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, name
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Errorf("%s ends within a line: %q", name, text[max(0, len(text)-80):])
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// TestWrittenWithinASecond waits for lines without asking for them.
func TestWrittenWithinASecond(t *testing.T) {
	l, name := openFile(t, config.AccessJSON, Options{})
	l.Write(sample())
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if text, _ := os.ReadFile(name); len(text) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
	if got := l.Totals(); got != (status.AccessLogTotals{Lines: 1}) {
		t.Errorf("totals %+v", got)
	}
}

// TestConcurrentWriters loses and mixes nothing, also across a rotation.
func TestConcurrentWriters(t *testing.T) {
	l, name := openFile(t, config.AccessJSON, Options{})
	const workers, each = 8, 2000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := sample()
			for i := range each {
				r.Conn.ID = uint64(w*each + i)
				l.Write(r)
			}
		})
	}
	rotated := name + ".1"
	if err := os.Rename(name, rotated); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool)
	for _, file := range []string{rotated, name} {
		for _, line := range lines(t, file) {
			if line == "" {
				continue // an empty file
			}
			var doc struct {
				Connection struct{ ID uint64 }
			}
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if seen[doc.Connection.ID] {
				t.Errorf("line %d twice", doc.Connection.ID)
			}
			seen[doc.Connection.ID] = true
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d lines, want %d", len(seen), workers*each)
	}
	if got := l.Totals(); got.Lines != workers*each || got.Lost != 0 {
		t.Errorf("totals %+v", got)
	}
	l.Write(sample())
	if got := l.Totals(); got.Lost != 1 {
		t.Errorf("after Close: totals %+v", got)
	}
}

// TestReopen sends what came before the rotation to the old file.
func TestReopen(t *testing.T) {
	l, name := openFile(t, config.AccessCommon, Options{})
	l.Write(sample())
	old := name + ".1"
	os.Rename(name, old)
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Write(sample())
	l.Write(sample())
	l.Close()
	if a, b := len(lines(t, old)), len(lines(t, name)); a != 1 || b != 2 {
		t.Errorf("%d lines before and %d after the rotation, want 1 and 2", a, b)
	}
}

func TestReopenFails(t *testing.T) {
	l, name := openFile(t, config.AccessCommon, Options{})
	dir := filepath.Dir(name)
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(dir+"-gone", dir)
	if err := l.Reopen(); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	l.Write(sample())
	l.Close()
	if got := lines(t, filepath.Join(dir+"-gone", filepath.Base(name))); len(got) != 1 {
		t.Errorf("%q in the old file", got)
	}
}

func TestOpenFails(t *testing.T) {
	_, err := Open(&config.AccessLog{Format: config.AccessJSON, Output: filepath.Join(t.TempDir(), "no", "such")}, Options{})
	if err == nil {
		t.Error("a file in no directory was opened")
	}
}

func TestOff(t *testing.T) {
	l, err := Open(&config.AccessLog{Format: config.AccessOff, Output: "/no/such/file"}, Options{})
	if l != nil || err != nil {
		t.Fatalf("got %v, %v", l, err)
	}
	l.Write(sample())
	l.Flush()
	if l.Reopen() != nil || l.Close() != nil || l.Multipath() || l.Totals() != (status.AccessLogTotals{}) {
		t.Error("a log that is off does something")
	}
}

// TestFullDisk counts what is lost, and says so once.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("SKIPPED: no /dev/full on", runtime.GOOS)
	}
	var told atomic.Int32
	l, err := Open(&config.AccessLog{Format: config.AccessJSON, Output: "/dev/full"}, Options{Failed: func(err error) {
		told.Add(1)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("told of %v", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for range 10 {
			l.Write(sample())
		}
		l.Flush()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := l.Totals(); got.Lost != 30 || got.Lines != 0 || told.Load() != 1 {
		t.Errorf("totals %+v, told %d times", got, told.Load())
	}
}

// fillingDisk takes so many bytes and then no more, until it is made larger.
type fillingDisk struct {
	bytes.Buffer
	room int
}

func (d *fillingDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	d.Buffer.Write(b[:n])
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestDiskFillsUp cuts lines wherever a disk may be full. When there is room
// again, every line that was begun is whole, and the counts are right.
func TestDiskFillsUp(t *testing.T) {
	length := len(lineOf(config.AccessCommon, sample()))
	for room := 0; room <= 4*length; room++ {
		told := 0
		disk := &fillingDisk{room: room}
		l := &Log{format: config.AccessCommon, out: disk, failed: func(error) { told++ }}
		for range 3 {
			l.Write(sample())
		}
		l.Flush()
		l.Write(sample())
		l.Flush()
		disk.room = 1 << 20
		l.Write(sample())
		l.Write(sample())
		l.Flush()
		text := disk.String()
		for line := range strings.Lines(text) {
			if !fieldsOf.MatchString(line) {
				t.Fatalf("room for %d bytes: %q", room, text)
			}
		}
		written := strings.Count(text, "\n")
		if got := l.Totals(); got.Lines != uint64(written) || got.Lines+got.Lost != 6 || written < 2 {
			t.Fatalf("room for %d bytes: totals %+v, %d lines in the file", room, got, written)
		}
		if want := room < 4*length; (told == 1) != want {
			t.Fatalf("room for %d bytes: told %d times", room, told)
		}
	}
}

// TestSlowDisk drops lines rather than wait.
func TestSlowDisk(t *testing.T) {
	l := &Log{format: config.AccessJSON, wake: make(chan struct{}, 1)} // nobody writes
	size := len(lineOf(config.AccessJSON, sample()))
	n := maxBuffer/size + 1000
	for range n {
		l.Write(sample())
	}
	if len(l.buf) > maxBuffer || l.Totals().Lost != uint64(n-maxBuffer/size) {
		t.Errorf("%d bytes wait, %d of %d lines lost", len(l.buf), l.Totals().Lost, n)
	}
}

func TestStandardOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = old }()
	l, err := Open(&config.AccessLog{Format: config.AccessCommon, Output: "stdout"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Write(sample())
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := fmt.Fprintln(w, "still open"); err != nil {
		t.Errorf("Close closed standard output: %v", err)
	}
	w.Close()
	in := bufio.NewReader(r)
	if line, err := in.ReadString('\n'); err != nil || !fieldsOf.MatchString(line) {
		t.Errorf("%q, %v", line, err)
	}
}

// TestWriteAllocatesNothing holds what is called for every request.
func TestWriteAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector buffers are not kept")
	}
	for _, format := range []config.AccessFormat{config.AccessJSON, config.AccessCommon, config.AccessMultipath} {
		l := &Log{format: format, out: discard{}, wake: make(chan struct{}, 1)}
		r := sample()
		r.Err = nil
		write := func() {
			for range 1000 {
				l.Write(r)
			}
			l.Flush()
		}
		write()
		write()
		// A collection may empty the pool of buffers; that is once, not per line.
		if n := testing.AllocsPerRun(5, write); n > 10 {
			t.Errorf("%s: %v allocations for 1000 lines", format, n)
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkWrite(b *testing.B) {
	for _, format := range []config.AccessFormat{config.AccessJSON, config.AccessCombined, config.AccessMultipath} {
		b.Run(string(format), func(b *testing.B) {
			l, err := Open(&config.AccessLog{Format: format, Output: os.DevNull}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			r := sample()
			r.Err = nil
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Write(r)
				}
			})
		})
	}
}
