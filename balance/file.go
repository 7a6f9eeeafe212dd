package balance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// DefaultFileInterval is how often a File is looked at.
const DefaultFileInterval = time.Second

// maxFileSize bounds a File; it holds some hundred thousand backends.
const maxFileSize = 16 << 20

// File is a Source that reads backends from a file and reads it again when it
// has changed. ParseBackends describes the format.
type File struct {
	Path string
	// Interval is how often the file is looked at; 0: DefaultFileInterval.
	// It is read each time, since times of modification miss a file that was
	// replaced within their grain, or a link that leads elsewhere.
	Interval time.Duration
}

// Run reports the list and its changes.
func (f File) Run(ctx context.Context, update func([]Backend, error)) {
	interval := f.Interval
	if interval <= 0 {
		interval = DefaultFileInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last []byte
	var lastErr string
	for first := true; ; first = false {
		text, err := readFile(f.Path)
		switch {
		case err != nil && err.Error() != lastErr:
			update(nil, err)
			lastErr = err.Error()
		case err == nil && (first || lastErr != "" || !bytes.Equal(text, last)):
			last, lastErr = text, ""
			list, err := ParseBackends(text)
			if err != nil {
				err = fmt.Errorf("%s: %w", f.Path, err)
			}
			update(list, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s: %d bytes are too many for a list of backends", path, info.Size())
	}
	return os.ReadFile(path)
}

// ParseBackends reads a list of backends, one on a line: an address, with the
// network before an "@" unless it is tcp, then what differs from the defaults.
// '#' begins a comment.
//
//	10.0.0.1:80
//	10.0.0.2:80 name=big weight=3 max_connections=200
//	[2001:db8::1]:80 priority=1   # stands by
//	mptcp@10.0.0.3:80 drain
//
// An empty list is an error: a file that was cut short should not stop a site.
func ParseBackends(text []byte) ([]Backend, error) {
	var list []Backend
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		b, err := parseBackend(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		list = append(list, b)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no backends", ErrConfig)
	}
	return normalList(list)
}

func parseBackend(words []string) (Backend, error) {
	b := Backend{Address: words[0]}
	if network, address, ok := strings.Cut(words[0], "@"); ok {
		b.Network, b.Address = network, address
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "name":
			b.Name = value
		case "weight":
			b.Weight, err = strconv.Atoi(value)
		case "priority":
			b.Priority, err = strconv.Atoi(value)
		case "max_connections":
			b.MaxConnections, err = strconv.Atoi(value)
		case "drain":
			b.Drain = true
			if value != "" {
				b.Drain, err = strconv.ParseBool(value)
			}
		default:
			err = fmt.Errorf("%q is none of name, weight, priority, max_connections, drain", key)
		}
		if err != nil {
			return b, fmt.Errorf("%w: %s: %v", ErrConfig, word, err)
		}
	}
	return b.normal()
}
