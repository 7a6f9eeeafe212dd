package proxy

import (
	"bufio"
	"context"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

// TestReloadProfile changes the TCP profile of an address that stays: those who
// come from then on have the new one, and nobody is disturbed.
func TestReloadProfile(t *testing.T) {
	for _, network := range []string{"tcp", "mptcp"} {
		t.Run(network, func(t *testing.T) {
			if err := kernel.Supported(); network == "mptcp" && err != nil {
				t.Skip(err)
			}
			server := serveTest(t, named("x"))
			text := func(profile string) string {
				return `
				network: {stack: kernel, single_path: true}
				listeners: {name: web, address: '` + network + `@127.0.0.1:0', pool: web, tcp: fast}
				tcp_profiles: {fast: {` + profile + `}}
				pools:
				  web: {backends: [` + server.addr + `]}`
			}
			p := start(t, text("congestion_control: reno, keepalive: 100s"))
			const request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
			c := dial(t, p.addr)
			r := bufio.NewReader(c)
			ask(t, c, r, request)
			want := func(what, congestion string, idle, nodelay int) {
				t.Helper()
				fresh := dial(t, p.addr)
				ask(t, fresh, bufio.NewReader(fresh), request)
				eventually(t, "two connections", func() bool { return len(p.conns.all()) == 2 })
				for _, conn := range p.conns.all() {
					if conn.RemoteAddr().String() != fresh.LocalAddr().String() {
						continue
					}
					raw, err := conn.Conn.(syscall.Conn).SyscallConn()
					if err != nil {
						t.Fatal(err)
					}
					raw.Control(func(fd uintptr) {
						cc, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
						if err != nil || strings.TrimRight(cc, "\x00") != congestion {
							t.Errorf("%s: congestion control %q, %v, want %q", what, cc, err, congestion)
						}
						for option, want := range map[int]int{unix.TCP_KEEPIDLE: idle, unix.TCP_NODELAY: nodelay} {
							if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); err != nil || got != want {
								t.Errorf("%s: option %d is %d, %v, want %d", what, option, got, err, want)
							}
						}
					})
				}
				fresh.Close()
				eventually(t, "one connection", func() bool { return len(p.conns.all()) == 1 })
			}
			want("at the start", "reno", 100, 1)
			reload := func(profile string) {
				t.Helper()
				if err := p.Reload(context.Background(), parse(t, text(profile))); err != nil {
					t.Fatal(err)
				}
			}
			reload("congestion_control: cubic, keepalive: 200s")
			want("after a reload", "cubic", 200, 1)
			if got := p.hostPort(0); got != p.addr {
				t.Errorf("the listener moved from %s to %s", p.addr, got)
			}
			if log := p.log.String(); strings.Contains(log, "restart") {
				t.Errorf("the log wants a restart: %s", log)
			}
			ask(t, c, r, request) // who came first is still there

			reload("receive_buffer: 100KiB, congestion_control: reno")
			reload("congestion_control: reno")
			if got := strings.Contains(p.log.String(), "receive buffer"); got != (network == "mptcp") {
				t.Errorf("Linux makes buffers adapt again but for Multipath TCP; log: %s", p.log)
			}
			ask(t, c, r, request)
		})
	}
}
