//go:build linux

// Command proxies measures `braid proxy` beside HAProxy, nginx and Caddy: the
// same server behind each, the same load in front, in turn, round after round.
//
//	go run ./lab/proxies                                   # three rounds, printed
//	go run ./lab/proxies --rounds 1 --samples s.jsonl      # one more round, kept
//	go run ./lab/proxies --rounds 0 --samples s.jsonl --write docs/results.md
//
// It needs nginx, and wrk and h2load to make load (Debian's packages nginx, wrk
// and nghttp2-client), and measures as many of the proxies as there are:
// haproxy as an installed program, Caddy built from its Go module in
// lab/proxies/caddy. What is missing is said and left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	rounds  int
	seconds time.Duration
	samples string
	write   string
	cpus    string
	proxies string
	loads   string
	braid   string
	caddy   string

	strangers float64
	tries     int
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often everything is measured")
	flag.DurationVar(&o.seconds, "time", 5*time.Second, "how long each load runs")
	flag.StringVar(&o.samples, "samples", "", "append what is measured to this file, and report on all that is in it")
	flag.StringVar(&o.write, "write", "", "write the table into this file, between its markers")
	flag.StringVar(&o.cpus, "cpus", cpusShared, "who runs where: shared or apart")
	flag.StringVar(&o.proxies, "proxies", "", "measure only these, separated by commas")
	flag.StringVar(&o.loads, "loads", "", "only these loads, separated by commas")
	flag.StringVar(&o.braid, "braid", "", "the braid to measure; empty: built from the working directory's module")
	flag.StringVar(&o.caddy, "caddy", "", "the caddy to measure; empty: built from lab/proxies/caddy")
	flag.Float64Var(&o.strangers, "strangers", 0.05, "the share of the machine's processor time that other programs may use in a measurement that counts")
	flag.IntVar(&o.tries, "tries", 5, "how often to try for such a measurement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxies:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.cpus != cpusShared && o.cpus != cpusApart {
		return fmt.Errorf("--cpus %s: %s or %s", o.cpus, cpusShared, cpusApart)
	}
	samples, err := readSamples(o.samples)
	if err != nil {
		return err
	}
	if o.rounds > 0 {
		more, err := measure(ctx, o)
		if err != nil {
			return err
		}
		samples = append(samples, more...)
	}
	text := report(samples)
	if o.write == "" {
		fmt.Print(text)
		return nil
	}
	return writeBetween(o.write, text)
}

// measure takes all rounds. Within a round each load meets each proxy in turn,
// so that what else the machine does meanwhile falls on all alike; each round
// begins with another proxy.
func measure(ctx context.Context, o options) ([]sample, error) {
	r, err := newRig(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	var all []sample
	first := rand.IntN(len(r.running))
	for round := range o.rounds {
		for _, l := range loads {
			if !chosen(o.loads, l.name) {
				continue
			}
			for i := range r.running {
				p := r.running[(i+round+first)%len(r.running)]
				s, err := r.sample(ctx, l, p)
				if errors.Is(err, errDisturbed) {
					fmt.Fprintf(os.Stderr, "%-12s %-18s is left out this time: %v\n", l.name, p.name, err)
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", p.name, l.name, err)
				}
				fmt.Fprintf(os.Stderr, "%-12s %-18s %8.0f requests/s  p99 %7.2f ms  %.4f CPU s per 1000\n",
					l.name, p.name, s.rate(), s.P99, s.cpuPerThousand())
				if err := appendSample(o.samples, s); err != nil {
					return nil, err
				}
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// errDisturbed: somebody else used the machine.
var errDisturbed = errors.New("other programs took too much processor time")

// sample lets one load meet one proxy, again if the machine had other things to
// do meanwhile.
func (r *rig) sample(ctx context.Context, l load, p *proxy) (sample, error) {
	if err := verify(ctx, r, l, p); err != nil {
		return sample{}, err
	}
	if _, err := l.run(ctx, r, p, time.Second); err != nil { // warm
		return sample{}, err
	}
	for try := 1; ; try++ {
		s, err := r.once(ctx, l, p)
		if err != nil {
			return s, err
		}
		if s.Strangers <= r.o.strangers {
			return s, nil
		}
		if try == r.o.tries {
			return s, errDisturbed
		}
		fmt.Fprintf(os.Stderr, "%-12s %-18s once more: others took %.0f %% of the processors\n", l.name, p.name, 100*s.Strangers)
	}
}

// once is one attempt at a sample.
func (r *rig) once(ctx context.Context, l load, p *proxy) (sample, error) {
	before, err := r.usage(p)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	s, err := l.run(ctx, r, p, r.o.seconds)
	if err != nil {
		return sample{}, err
	}
	took := time.Since(began).Seconds()
	after, err := r.usage(p)
	if err != nil {
		return sample{}, err
	}
	s.Time, s.Load, s.Proxy, s.Version, s.CPUs = time.Now().UTC(), l.name, p.name, p.version, r.o.cpus
	s.CPU = after.proxy - before.proxy
	ours := s.CPU + after.server - before.server + s.loadCPU + after.self - before.self
	s.Strangers = max(after.all-before.all-ours, 0) / (took * float64(runtime.NumCPU()))
	s.Machine = r.machine
	if s.Errors != 0 {
		return s, fmt.Errorf("%d of %d requests failed", s.Errors, s.Requests)
	}
	if s.Requests == 0 {
		return s, errors.New("no request was answered")
	}
	return s, nil
}

// usage is processor time used so far, in seconds.
type usage struct{ proxy, server, self, all float64 }

func (r *rig) usage(p *proxy) (u usage, err error) {
	if u.proxy, err = cpuSeconds(p.pid()); err != nil {
		return u, err
	}
	if u.server, err = cpuSeconds(r.server.cmd.Process.Pid); err != nil {
		return u, err
	}
	if u.self, err = selfSeconds(); err != nil { // reading a long log counts
		return u, err
	}
	u.all, err = busySeconds()
	return u, err
}

// chosen reports whether a list of the command line takes name; an empty one
// takes all.
func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}
