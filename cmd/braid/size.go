package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of sizes, longest first so that "MiB" is not taken for "B".
var units = []struct {
	name   string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"B", 1},
}

const maxSize = 1 << 40

// parseSize reads a number of bytes such as 32MiB, 100M or 4096.
func parseSize(text string) (int64, error) {
	number, factor := text, 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = rest, u.factor
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	n = math.Round(n * factor)
	if err != nil || !(n >= 1 && n <= maxSize) {
		return 0, fmt.Errorf("size %q is no number of bytes from 1 to 1024GiB, such as 32MiB", text)
	}
	return int64(n), nil
}

// formatBytes gives a number of bytes as a person reads it.
func formatBytes(n float64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", n/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.0f B", n)
}
