package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// contender is a proxy that may take part.
type contender struct {
	name string
	// find gives its program, or an error that says what is missing.
	find func(context.Context, *rig) (program string, err error)
	// version asks the program what it is.
	version func(ctx context.Context, program string) string
	// configure writes its configuration and gives the arguments and the
	// environment to start it with.
	configure func(r *rig, p *proxy) (args, env []string, err error)
}

// proxy is a contender that runs.
type proxy struct {
	contender
	*process
	plain, tls string // its addresses
	version    string
}

func (p *proxy) pid() int { return p.cmd.Process.Pid }

// contenders are all of them, configured to do the same: keep connections to
// the server and share them among all clients, tell the server who the client
// is, write no log.
var contenders = []contender{
	{"braid", findBraid, braidVersion, configureBraid("mptcp@")},
	{"braid (tcp@)", findBraid, braidVersion, configureBraid("tcp@")},
	{"HAProxy", installed("haproxy"), haproxyVersion, configureHAProxy},
	{"nginx", installed("nginx"), nginxVersion, configureNginx},
	{"Caddy", findCaddy, caddyVersion, configureCaddy},
}

// startProxy starts a contender; nil when it is not to be had, which is said.
func (r *rig) startProxy(ctx context.Context, c contender) (*proxy, error) {
	program, err := c.find(ctx, r)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is left out: %v\n", c.name, err)
		return nil, nil
	}
	p := &proxy{contender: c, version: c.version(ctx, program)}
	if p.plain, err = freeAddr(); err != nil {
		return nil, err
	}
	if p.tls, err = freeAddr(); err != nil {
		return nil, err
	}
	args, env, err := c.configure(r, p)
	if err != nil {
		return nil, err
	}
	if p.process, err = start(r.proxyCPUs(), env, program, args...); err != nil {
		return nil, err
	}
	for _, addr := range []string{p.plain, p.tls} {
		if err := p.awaitPort(addr); err != nil {
			p.stop()
			return nil, err
		}
	}
	return p, nil
}

func installed(name string) func(context.Context, *rig) (string, error) {
	return func(context.Context, *rig) (string, error) { return exec.LookPath(name) }
}

// findBraid builds braid, once for both of its rows.
func findBraid(ctx context.Context, r *rig) (string, error) {
	if r.o.braid != "" {
		return r.o.braid, nil
	}
	program := filepath.Join(r.dir, "braid")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	return program, build(ctx, ".", program, "github.com/braid-mptcp/braid/cmd/braid")
}

func findCaddy(ctx context.Context, r *rig) (string, error) {
	if r.o.caddy != "" {
		return r.o.caddy, nil
	}
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	program := filepath.Join(r.dir, "caddy")
	return program, build(ctx, filepath.Join(root, "lab", "proxies", "caddy"), program, ".")
}

func build(ctx context.Context, dir, program, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=auto", "-o", program, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// output is what a program says, on one channel or the other.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// word is the nth word of the first line that a program says.
func word(ctx context.Context, n int, name string, args ...string) string {
	out, err := output(ctx, name, args...)
	line, _, _ := strings.Cut(out, "\n")
	if f := strings.Fields(line); err == nil && n < len(f) {
		return f[n]
	}
	return "unknown"
}

// braidVersion is the commit that the program was built from.
func braidVersion(ctx context.Context, program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	var commit, changes string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(7, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changes = " with changes"
		}
	}
	if commit == "" {
		return word(ctx, 1, program, "version")
	}
	return commit + changes
}

func haproxyVersion(ctx context.Context, program string) string {
	return word(ctx, 2, program, "-v")
}

func nginxVersion(ctx context.Context, program string) string {
	return strings.TrimPrefix(word(ctx, 2, program, "-v"), "nginx/")
}

func caddyVersion(_ context.Context, program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/caddyserver/caddy/v2" {
			return dep.Version
		}
	}
	return info.Main.Version
}

// goEnv holds a Go program to its share of threads.
func goEnv(r *rig) []string { return []string{fmt.Sprintf("GOMAXPROCS=%d", r.threads())} }

func configureBraid(prefix string) func(*rig, *proxy) (args, env []string, err error) {
	return func(r *rig, p *proxy) (args, env []string, err error) {
		name, err := r.writeFile("braid-"+strings.Trim(prefix, "@")+".yaml", fmt.Sprintf(`network: {stack: kernel, single_path: true}
listeners:
- {name: plain, address: %s%s, pool: web}
- name: tls
  address: %s%s
  tls: {certificates: {cert: %s, key: %s}}
  pool: web
pools:
  web: {backends: [%s], oneconnect: shared}
oneconnect:
  shared: {http_reuse: always, max_reuse: 0}
metrics: {enabled: false}
`, prefix, p.plain, prefix, p.tls, r.certFile(), r.keyFile(), r.backend))
		return []string{"proxy", "--config", name}, goEnv(r), err
	}
}

func configureHAProxy(r *rig, p *proxy) (args, env []string, err error) {
	name, err := r.writeFile("haproxy.cfg", fmt.Sprintf(`global
	nbthread %d
	maxconn 4000
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	option forwardfor
	http-reuse always
frontend plain
	bind %s
	http-request set-header X-Forwarded-Host %%[req.hdr(host)]
	http-request set-header X-Forwarded-Proto http
	default_backend web
frontend tls
	bind %s ssl crt %s alpn h2,http/1.1 ssl-min-ver TLSv1.2
	http-request set-header X-Forwarded-Host %%[req.hdr(host)]
	http-request set-header X-Forwarded-Proto https
	default_backend web
backend web
	server a %s
`, r.threads(), p.plain, p.tls, filepath.Join(r.dir, "both.pem"), r.backend))
	return []string{"-db", "-f", name}, nil, err
}

func configureNginx(r *rig, p *proxy) (args, env []string, err error) {
	name, err := r.writeFile("proxy.conf", fmt.Sprintf(`%s
http {
	access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
	upstream web { server %s; keepalive 512; keepalive_requests 100000000; }
	proxy_http_version 1.1;
	proxy_max_temp_file_size 0;
	proxy_set_header Host $host;
	proxy_set_header Connection "";
	proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
	proxy_set_header X-Forwarded-Host $http_host;
	proxy_set_header X-Forwarded-Proto $scheme;
	server { listen %s backlog=4096; location / { proxy_pass http://web; } }
	server {
		listen %s ssl http2 backlog=4096;
		http2_max_requests 100000000;
		ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;
		location / { proxy_pass http://web; }
	}
}
`, r.nginxHead("proxy", r.threads()), r.backend, p.plain, p.tls, r.certFile(), r.keyFile()))
	return []string{"-p", r.dir, "-e", "stderr", "-c", name}, nil, err
}

func configureCaddy(r *rig, p *proxy) (args, env []string, err error) {
	name, err := r.writeFile("Caddyfile", fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	log {
		level WARN
	}
}
http://%s {
	bind 127.0.0.1
	reverse_proxy %s
}
https://%s {
	bind 127.0.0.1
	tls %s %s
	reverse_proxy %s
}
`, p.plain, r.backend, p.tls, r.certFile(), r.keyFile(), r.backend))
	env = append(goEnv(r), "XDG_DATA_HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir)
	return []string{"run", "--adapter", "caddyfile", "--config", name}, env, err
}
