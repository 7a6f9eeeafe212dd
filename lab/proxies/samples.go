//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// sample is one load that met one proxy once.
type sample struct {
	Time     time.Time
	Machine  string
	CPUs     string // who ran where
	Load     string
	Proxy    string
	Version  string
	Requests int64
	Errors   int64
	Bytes    int64
	Seconds  float64
	P50, P99 float64 // milliseconds
	CPU      float64 // seconds of processor time that the proxy used
	// Strangers is the share of the machine's processor time that programs
	// used which have nothing to do with the measurement.
	Strangers float64

	loadCPU float64 // seconds of processor time that made the load
}

// rate is requests per second.
func (s sample) rate() float64 { return float64(s.Requests) / s.Seconds }

// cpuPerThousand is processor time in seconds for a thousand requests.
func (s sample) cpuPerThousand() float64 { return s.CPU / float64(s.Requests) * 1000 }

// readSamples reads a file with a sample on each line; none is no error.
func readSamples(name string) ([]sample, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []sample
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		var s sample
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		all = append(all, s)
	}
	return all, in.Err()
}

// appendSample adds a line to a file; without a name it does nothing.
func appendSample(name string, s sample) error {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(f).Encode(s); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// median of an odd or even number of values, 0 of none.
func median(values []float64) float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}
