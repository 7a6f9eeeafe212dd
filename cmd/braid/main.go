// Command braid is Multipath TCP for people: it shows what that does (demo),
// downloads (get), carries sessions (connect) and puts it in front of servers
// (serve, proxy), and prepares hosts for it (paths).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Demo    demoCmd    `cmd:"" help:"Download a file over two emulated lines, one of which is cut. Needs no privilege."`
	Get     getCmd     `cmd:"" help:"Download a file over all uplinks at once."`
	Connect connectCmd `cmd:"" help:"Carry standard input and output over several paths; made for ssh's ProxyCommand."`
	Serve   serveCmd   `cmd:"" help:"Put Multipath TCP in front of any TCP service."`
	Proxy   proxyCmd   `cmd:"" help:"Put Multipath TCP, TLS and HTTP/2 in front of servers, and share the connections to them."`
	Paths   pathsCmd   `cmd:"" help:"Show how the host is prepared for several paths, or prepare it."`
	Cleanup cleanupCmd `cmd:"" help:"Remove from the host what a braid that was killed has left."`
	Config  configCmd  `cmd:"" help:"Print a configuration to start from."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// console is where a command talks to.
type console struct {
	out, err io.Writer
	terminal bool // out is one
}

// Exit codes, beside 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells report a death by SIGINT
)

func main() {
	ctx := withSignals(context.Background())
	os.Exit(run(ctx, os.Args[1:], console{os.Stdout, os.Stderr, isTerminal(os.Stdout)}))
}

// run is main with everything it touches passed in.
func run(ctx context.Context, args []string, con console) int {
	var cmds commands
	exited := -1
	parser, err := kong.New(&cmds,
		kong.Name("braid"),
		kong.Description("Multipath TCP: one connection over several paths at once."),
		kong.Writers(con.out, con.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(con),
	)
	if err != nil {
		panic(fmt.Sprintf("BUG: the command line does not build: %v", err))
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(con.err, "braid: %v\n%s --help says more\n", err, chosen(err))
		return exitUsage
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(con.err, "braid: interrupted")
		var s signalled
		if errors.As(context.Cause(ctx), &s) {
			return s.exitCode()
		}
		return exitInterrupted
	}
	fmt.Fprintf(con.err, "braid: %s\n", strings.TrimPrefix(err.Error(), "braid: ")) // it may come from the package of that name
	var coded exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

// chosen is the command that was being typed when the parser gave up.
func chosen(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		return parse.Context.Selected().FullPath()
	}
	return "braid"
}
