package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/braid-mptcp/braid/config"
)

// proxyCmd is `braid proxy`.
type proxyCmd struct {
	Run   proxyRunCmd `cmd:"" default:"1" hidden:""`
	Check validateCmd `cmd:"" name:"validate" help:"Check a configuration, and the files it refers to."`

	Config string `short:"c" placeholder:"FILE" help:"The configuration. It is read again when it changes, and on SIGHUP. All flags below have their places in it."`
	Watch  bool   `default:"true" negatable:"" help:"Read the configuration again when its file changes, not only on SIGHUP."`
	Print  bool   `name:"print-config" help:"Print what the flags, or the file, mean as a whole configuration, and do nothing else."`

	Listen    []string `short:"l" placeholder:"ADDRESS" help:"Where clients connect to: mptcp@:8080, with one of the prefixes mptcp@ mptcp4@ mptcp6@ tcp@ tcp4@ tcp6@ unix@ fd@; without one, mptcp@. Repeat for more."`
	Backend   []string `short:"b" placeholder:"URL" help:"A server: http://127.0.0.1:3000, https://web.example.org or tcp://10.0.0.1:22. Repeat for more."`
	Mode      string   `placeholder:"MODE" help:"http, or tcp to pass on connections as they are. By default as the servers' URLs say."`
	TLSCert   string   `name:"tls-cert" placeholder:"FILE" help:"Speak TLS with this certificate (PEM, with its chain). It is read again when the file changes."`
	TLSKey    string   `name:"tls-key" placeholder:"FILE" help:"The certificate's private key; by default in the same file."`
	Policy    string   `placeholder:"POLICY" help:"How a server is chosen: round_robin, least_connections, power_of_two or maglev."`
	HTTPReuse string   `name:"http-reuse" placeholder:"MODE" help:"Which requests share connections to servers: never, safe, aggressive or always."`
	TestBy    string   `name:"check" placeholder:"PATH" help:"Test servers: by the path of an HTTP request, such as /health, by tcp or tls."`
	SendProxy string   `name:"send-proxy" placeholder:"VERSION" help:"Tell servers who the client is, by version v1 or v2 of the PROXY protocol."`
	Admin     string   `placeholder:"ADDRESS" help:"Serve the administrator's page, health and metrics there, such as 127.0.0.1:9000."`
	AccessLog string   `name:"access-log" placeholder:"FORMAT" help:"Write a line for each request to standard output: json, common, combined or multipath."`
	Log       string   `placeholder:"FORMAT" help:"Format of the log on standard error: text or json."`
	LogLevel  string   `name:"log-level" placeholder:"LEVEL" help:"debug, info, warn or error."`
	Stack     string   `placeholder:"STACK" help:"Multipath TCP of the kernel, Braid's own behind a TUN interface (user), or none (plain). auto, the default, takes the first that will do."`
	Interface []string `placeholder:"NAME" help:"Use this uplink only. Repeat for more. Default: all."`
	Endpoint  []string `sep:"none" placeholder:"WORDS" help:"What an uplink is used for, in the words of ip mptcp endpoint: 'dev eth1 signal backup'. Repeat for more."`
}

// Help is the rest of what --help prints.
func (*proxyCmd) Help() string {
	return `Puts Multipath TCP, TLS and HTTP/2 in front of servers that know nothing of them.
Connections to the servers are kept and shared.

  braid proxy --listen mptcp@:8080 --backend http://127.0.0.1:3000
  braid proxy --config /etc/braid/proxy.yaml
  braid proxy validate /etc/braid/proxy.yaml

SIGHUP reads the configuration and the certificates again and opens log files
anew; what was in force stays when that fails. SIGTERM and SIGINT end the proxy
once requests in work have come to their end (timeouts.drain), a second one ends
it at once.

Exit codes: 0 when all connections came to their end, 1 when something failed, 2
for a mistake in the usage, 3 when connections were broken off.`
}

// flags gives those that stand for parts of a configuration.
func (p *proxyCmd) flags() config.Flags {
	return config.Flags{
		Listen: p.Listen, Backends: p.Backend, Mode: p.Mode, Stack: p.Stack, Interfaces: p.Interface, Endpoints: p.Endpoint,
		TLSCert: p.TLSCert, TLSKey: p.TLSKey, Policy: p.Policy, HTTPReuse: p.HTTPReuse, Check: p.TestBy,
		SendProxy: p.SendProxy, Admin: p.Admin, AccessLog: p.AccessLog, LogFormat: p.Log, LogLevel: p.LogLevel,
	}
}

// given names a flag that was used and stands for a part of a configuration;
// "": none was.
func (p *proxyCmd) given() string {
	for _, f := range []struct {
		name string
		used bool
	}{
		{"listen", p.Listen != nil}, {"backend", p.Backend != nil}, {"mode", p.Mode != ""}, {"tls-cert", p.TLSCert != ""},
		{"tls-key", p.TLSKey != ""}, {"policy", p.Policy != ""}, {"http-reuse", p.HTTPReuse != ""}, {"check", p.TestBy != ""},
		{"send-proxy", p.SendProxy != ""}, {"admin", p.Admin != ""}, {"access-log", p.AccessLog != ""}, {"log", p.Log != ""},
		{"log-level", p.LogLevel != ""}, {"stack", p.Stack != ""}, {"interface", p.Interface != nil}, {"endpoint", p.Endpoint != nil},
	} {
		if f.used {
			return "--" + f.name
		}
	}
	return ""
}

// check finds mistakes in the usage.
func (p *proxyCmd) check() error {
	given := p.given()
	switch {
	case p.Config != "" && given != "":
		return fmt.Errorf("%s has its place in the configuration: leave it out, or --config", given)
	case p.Config == "" && (p.Listen == nil || p.Backend == nil):
		return errors.New("wants --config FILE, or --listen ADDRESS and --backend URL; braid proxy --help says more")
	}
	return nil
}

// load reads the configuration, from the file or the flags.
func (p *proxyCmd) load() (*config.Config, error) {
	if p.Config != "" {
		return config.Load(p.Config)
	}
	return p.flags().Config()
}

// proxyRunCmd is `braid proxy` without a further word.
type proxyRunCmd struct{}

// Run implements the command.
func (*proxyRunCmd) Run(ctx context.Context, con console, p *proxyCmd) error {
	if err := p.check(); err != nil {
		return exitError{err, exitUsage}
	}
	cfg, err := p.load()
	if err != nil {
		return configError{err}
	}
	if p.Print {
		return config.Print(con.out, cfg)
	}
	return runProxy(ctx, con, p, cfg)
}

// configError is an error of a configuration, of which each has a line.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// Error puts the program's name before each line, since it stands before the
// first.
func (e configError) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "\nbraid: ") }
