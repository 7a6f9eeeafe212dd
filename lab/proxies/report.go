//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// yardstick is the proxy that others are compared with.
const yardstick = "HAProxy"

// report is all samples as tables in Markdown, one for each load and choice of
// CPUs.
func report(samples []sample) string {
	var b strings.Builder
	if len(samples) == 0 {
		return "Nothing was measured.\n"
	}
	last := samples[len(samples)-1]
	fmt.Fprintf(&b, "On %s; %s. %s.\n", last.Machine, last.Time.Format("2006-01-02"), versions(samples))
	for _, cpus := range []string{cpusShared, cpusApart} {
		of := where(samples, func(s sample) bool { return s.CPUs == cpus })
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", inWords[cpus])
		for _, l := range loads {
			writeTable(&b, l, where(of, func(s sample) bool { return s.Load == l.name }))
		}
	}
	return b.String()
}

var inWords = map[string]string{
	cpusShared: "All CPUs are shared by the proxy, the load and the server; each proxy has a thread (a worker, a `GOMAXPROCS`) for each CPU.",
	cpusApart:  "The proxy has CPU 0 to itself, with one thread (one worker, `GOMAXPROCS=1`); the load and the server share the rest.",
}

func writeTable(b *strings.Builder, l load, of []sample) {
	if len(of) == 0 {
		return
	}
	fmt.Fprintf(b, "\n**%s**: %s.\n\n", l.name, l.what)
	fmt.Fprintf(b, "| proxy | requests/s | lowest to highest | of %s | p50 ms | p99 ms | proxy's CPU ms per 1000 requests |\n|---|--:|--:|--:|--:|--:|--:|\n", yardstick)
	base := medianOf(where(of, func(s sample) bool { return s.Proxy == yardstick }), sample.rate)
	for _, c := range contenders {
		mine := where(of, func(s sample) bool { return s.Proxy == c.name })
		if len(mine) == 0 {
			continue
		}
		share := "-"
		rate := medianOf(mine, sample.rate)
		if base > 0 {
			share = fmt.Sprintf("%.2f", rate/base)
		}
		rates := each(mine, sample.rate)
		fmt.Fprintf(b, "| %s | %.0f | %.0f to %.0f | %s | %.2f | %.2f | %.1f |\n", c.name, rate, slices.Min(rates), slices.Max(rates), share,
			medianOf(mine, func(s sample) float64 { return s.P50 }), medianOf(mine, func(s sample) float64 { return s.P99 }),
			1000*medianOf(mine, sample.cpuPerThousand))
	}
	if n := rounds(of); n > 1 {
		fmt.Fprintf(b, "\nMedians of %d rounds at least.\n", n)
	} else {
		fmt.Fprintf(b, "\nOne round.\n")
	}
}

// rounds is how often the proxy that was measured least was measured.
func rounds(of []sample) int {
	n := make(map[string]int)
	for _, s := range of {
		n[s.Proxy]++
	}
	least := len(of)
	for _, v := range n {
		least = min(least, v)
	}
	return least
}

// versions names what was measured.
func versions(samples []sample) string {
	var words []string
	for _, c := range contenders {
		for _, s := range slices.Backward(samples) {
			if s.Proxy == c.name {
				words = append(words, c.name+" "+s.Version)
				break
			}
		}
	}
	return strings.Join(words, ", ")
}

func where(samples []sample, ok func(sample) bool) (found []sample) {
	for _, s := range samples {
		if ok(s) {
			found = append(found, s)
		}
	}
	return found
}

func each(samples []sample, value func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	return values
}

func medianOf(samples []sample, value func(sample) float64) float64 {
	return median(each(samples, value))
}

// The markers between which a file has the tables.
const (
	beginMark = "<!-- proxies: begin, written by go run ./lab/proxies -->"
	endMark   = "<!-- proxies: end -->"
)

// writeBetween puts text between the markers of a file.
func writeBetween(name, text string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(b, []byte(beginMark))
	_, tail, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no markers %q and %q", name, beginMark, endMark)
	}
	out := slices.Concat(head, []byte(beginMark+"\n\n"+text+"\n"+endMark), tail)
	return os.WriteFile(name, out, 0o644)
}
