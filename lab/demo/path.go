package demo

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/sim"
)

// Path is one line between client and server.
type Path struct {
	Name  string
	Rate  float64       // bits per second, each way
	Delay time.Duration // one way
	Loss  float64       // probability, each way
}

// DefaultPaths are a line at home and a telephone's.
func DefaultPaths() []Path {
	return []Path{
		{Name: "wired", Rate: 40e6, Delay: 10 * time.Millisecond},
		{Name: "wireless", Rate: 20e6, Delay: 30 * time.Millisecond},
	}
}

var pathName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,31}$`)

const (
	minRate  = 10e3
	maxRate  = 10e9
	maxDelay = 10 * time.Second
)

// ParsePath reads name=rate,delay[,loss], for example wired=40M,10ms,0.1%.
func ParsePath(text string) (Path, error) {
	fail := func(format string, args ...any) (Path, error) {
		return Path{}, fmt.Errorf("path %q: %s (want name=rate,delay[,loss], for example wired=40M,10ms,0.1%%)",
			text, fmt.Sprintf(format, args...))
	}
	name, rest, ok := strings.Cut(text, "=")
	if !ok {
		return fail("no =")
	}
	if !pathName.MatchString(name) {
		return fail("the name must be letters, digits, - _ or ., beginning with a letter")
	}
	fields := strings.Split(rest, ",")
	if len(fields) < 2 || len(fields) > 3 {
		return fail("%d values", len(fields))
	}
	p := Path{Name: name}
	var err error
	if p.Rate, err = parseRate(fields[0]); err != nil {
		return fail("%v", err)
	}
	if p.Delay, err = time.ParseDuration(fields[1]); err != nil || p.Delay < 0 || p.Delay > maxDelay {
		return fail("delay %q is no duration from 0 to %v", fields[1], maxDelay)
	}
	if len(fields) == 3 {
		if p.Loss, err = parseShare(fields[2]); err != nil || p.Loss >= 1 {
			return fail("loss %q is no share below 1, such as 0.01 or 1%%", fields[2])
		}
	}
	return p, nil
}

// parseRate reads bits per second with k, M or G, and the unit spelled out if
// one likes.
func parseRate(text string) (float64, error) {
	number := strings.TrimSpace(text)
	for _, unit := range []string{"bit/s", "bps", "bit"} {
		number = strings.TrimSuffix(number, unit)
	}
	factor := 1.0
	for suffix, f := range map[string]float64{"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, factor = rest, f
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	rate := n * factor
	if err != nil || !(rate >= minRate && rate <= maxRate) {
		return 0, fmt.Errorf("rate %q is no number of bits per second from 10k to 10G, such as 40M", text)
	}
	return rate, nil
}

var errShare = errors.New("no share from 0 to 1, such as 0.5 or 50%")

// parseShare reads 0.01 or 1%.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if percent {
		n /= 100
	}
	if err != nil || math.IsNaN(n) || n < 0 || n > 1 {
		return 0, errShare
	}
	return n, nil
}

// String gives the path as a person would describe it.
func (p Path) String() string {
	s := fmt.Sprintf("%s (%s, %v", p.Name, FormatRate(p.Rate), p.Delay)
	if p.Loss > 0 {
		s += fmt.Sprintf(", %.3g %% loss", p.Loss*100)
	}
	return s + ")"
}

// FormatRate gives bits per second in the unit that suits.
func FormatRate(bits float64) string {
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.3g Gbit/s", bits/1e9)
	case bits >= 1e6:
		return fmt.Sprintf("%.3g Mbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.3g kbit/s", bits/1e3)
}

// The queue in front of a line holds this much, or one round trip if that is
// more: enough to keep the line busy, not so much that it only adds delay.
const queueTime = 40 * time.Millisecond

// config gives the emulated line of a path.
func (p Path) config() sim.LinkConfig {
	return sim.LinkConfig{
		Rate:      int64(p.Rate),
		RateIP:    true,
		Delay:     p.Delay,
		Loss:      p.Loss,
		QueueTime: max(queueTime, 2*p.Delay),
	}
}
