package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The bodies that the server has.
const (
	smallBody = "Several paths are better than one.\n"
	bigSize   = 1 << 20
)

// rig is the server with all proxies in front of it, running.
type rig struct {
	o       options
	dir     string
	machine string
	backend string // its address
	server  *process
	running []*proxy
	big     []byte
}

// newRig starts everything there is on this machine.
func newRig(ctx context.Context, o options) (*rig, error) {
	for _, need := range []string{"nginx", "wrk", "h2load"} {
		if _, err := exec.LookPath(need); err != nil {
			return nil, fmt.Errorf("%w (Debian: apt install nginx wrk nghttp2-client)", err)
		}
	}
	dir, err := os.MkdirTemp("", "braid-proxies-")
	if err != nil {
		return nil, err
	}
	r := &rig{o: o, dir: dir, machine: machine()}
	if err := r.build(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) build(ctx context.Context) error {
	// Workers of nginx are somebody else, who has to be let in.
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.writeCertificate(); err != nil {
		return err
	}
	if err := r.startServer(); err != nil {
		return err
	}
	for _, c := range contenders {
		if !chosen(r.o.proxies, c.name) {
			continue
		}
		p, err := r.startProxy(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if p != nil {
			r.running = append(r.running, p)
		}
	}
	if len(r.running) == 0 {
		return fmt.Errorf("no proxy to measure")
	}
	return nil
}

func (r *rig) close() {
	for _, p := range r.running {
		p.stop()
	}
	if r.server != nil {
		r.server.stop()
	}
	os.RemoveAll(r.dir)
}

// proxyCPUs and otherCPUs are where programs run; nil: anywhere.
func (r *rig) proxyCPUs() []int {
	if r.o.cpus == cpusShared {
		return nil
	}
	return []int{0}
}

func (r *rig) otherCPUs() []int {
	if r.o.cpus == cpusShared {
		return nil
	}
	var cpus []int
	for cpu := 1; cpu < runtime.NumCPU(); cpu++ {
		cpus = append(cpus, cpu)
	}
	return cpus
}

// threads is how many of them each proxy gets.
func (r *rig) threads() int {
	if r.o.cpus == cpusShared {
		return runtime.NumCPU()
	}
	return 1
}

// otherThreads is how many the load and the server get each.
func (r *rig) otherThreads() int {
	if r.o.cpus == cpusShared {
		return runtime.NumCPU()
	}
	return max(runtime.NumCPU()-1, 1)
}

// startServer starts the nginx that all proxies forward to.
func (r *rig) startServer() error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	www := filepath.Join(r.dir, "www")
	if err := os.Mkdir(www, 0o755); err != nil {
		return err
	}
	r.big = make([]byte, bigSize)
	mathrand.NewChaCha8([32]byte{1}).Read(r.big)
	if err := os.WriteFile(filepath.Join(www, "big"), r.big, 0o644); err != nil {
		return err
	}
	conf := fmt.Sprintf(`%s
http {
	access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 300s;
	server {
		listen %s backlog=4096;
		location = /small { default_type text/plain; return 200 %q; }
		location = /big { root %s; }
	}
}
`, r.nginxHead("server", r.otherThreads()), addr, smallBody, www)
	name, err := r.writeFile("server.conf", conf)
	if err != nil {
		return err
	}
	if r.server, err = start(r.otherCPUs(), nil, "nginx", "-p", r.dir, "-e", "stderr", "-c", name); err != nil {
		return err
	}
	r.backend = addr
	return r.server.awaitPort(addr)
}

// nginxHead is the part of nginx's configuration that says how it runs.
func (r *rig) nginxHead(name string, workers int) string {
	return fmt.Sprintf("daemon off; pid %s/%s.pid; error_log stderr warn; worker_processes %d; \n"+
		"events { worker_connections 4096; }", r.dir, name, workers)
}

func (r *rig) writeFile(name, text string) (string, error) {
	name = filepath.Join(r.dir, name)
	return name, os.WriteFile(name, []byte(text), 0o644)
}

// certificate files, readable for whoever the proxies run as.
func (r *rig) certFile() string { return filepath.Join(r.dir, "cert.pem") }
func (r *rig) keyFile() string  { return filepath.Join(r.dir, "key.pem") }

// writeCertificate makes the certificate that all proxies show.
func (r *rig) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, b := range map[string][]byte{
		r.certFile(): certPEM, r.keyFile(): keyPEM,
		filepath.Join(r.dir, "both.pem"): append(certPEM, keyPEM...), // as HAProxy wants it
	} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// freeAddr is a loopback address with a port that nobody listens at.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// machine describes what the figures were taken on.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release = []byte("unknown")
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	return fmt.Sprintf("%d CPUs (%s), Linux %s, %s", runtime.NumCPU(), model, version, runtime.Version())
}
