package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/alecthomas/kong"

	"github.com/braid-mptcp/braid/get"
)

// getCmd is `braid get`.
type getCmd struct {
	URL     string        `arg:"" name:"url" help:"What to download: http:// or https://."`
	Output  string        `short:"o" placeholder:"FILE" help:"Where to; - is standard output. Default: the last part of the URL's path."`
	SHA256  sumFlag       `name:"sha256" placeholder:"HEX" help:"Print the file's SHA-256; with HEX, fail unless it is that."`
	Restart bool          `help:"Begin anew even if a part of the file is there."`
	Retries int           `default:"10" placeholder:"N" help:"How many attempts in a row may bring nothing before it fails (${default})."`
	Stall   time.Duration `default:"60s" help:"How long nothing may arrive before a new connection is tried (${default}); 0: for ever."`
	JSON    bool          `name:"json" help:"Print one JSON object at the end and nothing else on standard output."`
	Quiet   bool          `short:"q" help:"Show no progress."`

	networkFlags
}

// Help is the rest of what --help prints.
func (*getCmd) Help() string {
	return `Downloads a file over all uplinks at once and shows what each of them carries.
What has arrived is kept in FILE.part until the file is complete; the same
command goes on from there.

HTTPS_PROXY and HTTP_PROXY name a proxy, NO_PROXY what is asked without one, and
SSL_CERT_FILE authorities to trust in place of the system's.

Exit codes: 0 when the file is complete, 1 when the network or the server
failed, 2 for a mistake in the usage, 4 when the server refuses (404 Not Found),
5 when the SHA-256 is wrong, 6 when the file cannot be written (disk full), 130
when interrupted.`
}

// Exit codes of get.
const (
	exitRefused = 4
	exitHash    = 5
	exitFile    = 6
)

// sumFlag is a flag that may have a value: --sha256, --sha256=HEX, and --sha256
// HEX where what follows cannot be anything else.
type sumFlag struct {
	wanted bool
	hex    string
}

var sumPattern = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// Decode implements kong.MapperValue.
func (s *sumFlag) Decode(ctx *kong.DecodeContext) error {
	s.wanted = true
	token := ctx.Scan.Peek()
	text, isText := token.Value.(string)
	switch {
	case token.Type == kong.FlagValueToken:
		if !isText || !sumPattern.MatchString(text) {
			return fmt.Errorf("%v is no SHA-256: want 64 hexadecimal digits", token.Value)
		}
	case !token.IsValue() || !isText || !sumPattern.MatchString(text):
		return nil
	}
	ctx.Scan.Pop()
	s.hex = text
	return nil
}

// Validate is called by the parser.
func (g *getCmd) Validate() error {
	if g.URL == "" {
		return nil // the parser knows better words for it
	}
	if err := (&get.Config{URL: g.URL}).Check(); err != nil {
		return err
	}
	if g.Output == "" {
		if g.Output = get.FileName(g.URL); g.Output == "" {
			return errors.New("the URL names no file: say where to with -o FILE")
		}
	}
	if g.Retries < 0 || g.Stall < 0 {
		return errors.New("--retries and --stall cannot be negative")
	}
	if g.JSON && g.Output == "-" {
		return errors.New("--json and -o - would both go to standard output")
	}
	return g.networkFlags.Validate()
}

// Run implements the command.
func (g *getCmd) Run(ctx context.Context, con console) error {
	network, err := g.open(ctx, con.err)
	if err != nil {
		return err
	}
	cfg := get.Config{
		URL: g.URL, Network: network, Output: g.Output,
		Hash: g.SHA256.wanted, SHA256: g.SHA256.hex,
		Restart: g.Restart, Retries: g.Retries, Stall: g.Stall,
		UserAgent: "braid/" + version(),
	}
	if g.Output == "-" {
		cfg.Output, cfg.Stream = "", con.out
	}
	report, err := g.watch(ctx, con, cfg)
	if closeErr := network.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	if g.JSON {
		encoder := json.NewEncoder(con.out)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	} else {
		w := con.out
		if cfg.Stream != nil {
			w = con.err
		}
		err = errors.Join(err, printGet(w, report, g.Quiet))
	}
	if report.Kept != "" {
		next := "; the same command goes on from there"
		if report.Useless {
			next = " to be looked at"
		}
		fmt.Fprintf(con.err, "braid: %s kept in %s%s\n", formatBytes(float64(report.KeptBytes)), report.Kept, next)
	}
	return withExitCode(err)
}

// watch downloads with the view that suits.
func (g *getCmd) watch(ctx context.Context, con console, cfg get.Config) (get.Report, error) {
	terminal, isFile := con.err.(*os.File)
	switch {
	case g.Quiet:
		return get.Run(ctx, cfg)
	case isFile && isTerminal(terminal):
		return watchGetLive(ctx, terminal, cfg)
	}
	return watchGetPlain(ctx, con.err, cfg)
}

func withExitCode(err error) error {
	var status *get.StatusError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, get.ErrHash):
		return exitError{err, exitHash}
	case errors.Is(err, get.ErrFile), errors.Is(err, get.ErrBusy):
		return exitError{err, exitFile}
	case errors.As(err, &status):
		return exitError{err, exitRefused}
	}
	return err
}

// printGet says in a few lines how it went.
func printGet(w io.Writer, r get.Report, quiet bool) error {
	p := &printer{w: w}
	if r.Complete && !quiet {
		what := r.File
		if what == "" {
			what = "done"
		}
		p.f("%s: %s in %.1f s: %.1f Mbit/s\n", what, formatBytes(float64(r.Received)), r.Seconds, r.GoodputMbps)
		if r.ResumedFrom > 0 {
			p.f("  %s were there already\n", formatBytes(float64(r.ResumedFrom)))
		}
		for _, path := range r.Paths {
			p.f("  %-12s %10s  %5.1f %%\n", path.Name, formatBytes(float64(path.Bytes)), 100*path.Share)
		}
		p.f("  longest stall %.0f ms, %s\n", r.LongestStallMS, protocolOf(r))
	}
	if r.SHA256 != "" {
		p.f("%s  %s\n", r.SHA256, r.File)
	}
	return p.err
}

func protocolOf(r get.Report) string {
	switch {
	case r.Multipath:
		return fmt.Sprintf("Multipath TCP version %d, %s stack", r.MPTCPVersion, r.Stack)
	case r.FallbackReason != "":
		return fmt.Sprintf("plain TCP (%s), %s stack", r.FallbackReason, r.Stack)
	}
	return fmt.Sprintf("plain TCP, %s stack", r.Stack)
}
