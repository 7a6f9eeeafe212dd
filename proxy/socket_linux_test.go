package proxy

import (
	"bufio"
	"context"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// TestSockets: connections are accepted past package net, and held back where
// that is of use, as the configuration in force says.
func TestSockets(t *testing.T) {
	file := func(more string) string {
		return `
		listeners:
		- {name: web, address: ['tcp@127.0.0.1:0', 'mptcp@127.0.0.1:0']` + more + `, pool: all}
		- {name: ssh, address: 'tcp@127.0.0.1:0', mode: tcp, pool: all}
		pools:
		  all: {backends: ['127.0.0.1:1']}`
	}
	p := start(t, file(""))
	check := func(web bool) {
		t.Helper()
		var listeners, held []string
		for key, s := range p.sockets() {
			listeners = append(listeners, key)
			l, ok := s.Listener.(syscall.Conn)
			if !ok {
				t.Fatalf("%s: a %T is no socket", key, s.Listener)
			}
			raw, err := l.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			seconds := 0
			raw.Control(func(fd uintptr) {
				if seconds, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err != nil {
					t.Error(err)
				}
			})
			if seconds > 0 {
				held = append(held, key)
			}
			if want := web && s.owner.Load().name == "web" && rawsock.IsTCP(l); seconds > 0 != want {
				t.Errorf("%s: connections are held back for %d s, want %v", key, seconds, want)
			}
		}
		if len(listeners) != 3 || web && len(held) == 0 {
			t.Errorf("of %q only %q hold connections back", listeners, held)
		}
	}
	check(true)
	if err := p.Reload(context.Background(), parse(t, file(", defer_accept: false"))); err != nil {
		t.Fatal(err)
	}
	check(false)

	c := dial(t, p.addr)
	ask(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	conns := p.conns.all()
	if len(conns) != 1 {
		t.Errorf("there are %d connections, want one", len(conns))
	}
	for _, cc := range conns {
		if _, ok := cc.Conn.(*rawsock.Conn); !ok {
			t.Errorf("a client's connection is a %T", cc.Conn)
		}
	}
}
