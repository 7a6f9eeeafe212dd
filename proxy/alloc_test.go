package proxy

import (
	"net"
	"runtime"
	"testing"
)

// TestAllocations counts what a request costs in memory on its whole way: in
// the median nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const request = "GET /app/x?y HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: a=b; where=c\r\n\r\n"
	const response = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				b, answer := make([]byte, 4096), []byte(response)
				for {
					if n, err := c.Read(b); err != nil || n == 0 {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	for name, extra := range map[string]string{
		"plain":   "",
		"trusted": "forwarded: {trusted: [127.0.0.1]}\n",
		"watched": "admin: {address: '" + free(t) + "'}\n",
		"logged":  "log: {access: {format: json, output: " + t.TempDir() + "/log}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				oneconnect: {default: {http_reuse: always, max_reuse: 0}}
				`+extra+`
				routes:
				- {match: {host: ['*.b.example'], path: ['/b/*']}, pool: web}
				- {match: {header: {x-none: '*'}}, respond: {}}
				- match: {host: [a.example], path: ['/app/*'], method: [GET, POST], client: [127.0.0.0/8]}
				  pool: web
				  strip_prefix: /app
				  request: {set: {x-set: a}, remove: [x-secret]}
				  response: {add: {x-added: b}}
				pools:
				  web: {backends: ['`+l.Addr().String()+`']}`)
			c := dial(t, p.addr)
			out, in := []byte(request), make([]byte, 4096)
			exchange := func() {
				c.Write(out)
				if n, err := c.Read(in); err != nil || n == 0 {
					t.Fatal(err)
				}
			}
			for range 100 {
				exchange()
			}
			const rounds = 1000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range rounds {
				exchange()
			}
			runtime.ReadMemStats(&after)
			if n := float64(after.Mallocs-before.Mallocs) / rounds; n > 0.5 {
				t.Errorf("%v allocations per request", n)
			}
		})
	}
}
