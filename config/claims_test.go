package config

import (
	"strings"
	"testing"
)

// TestAddressesOverlap has addresses of one process that can, and cannot, be
// bound beside each other.
func TestAddressesOverlap(t *testing.T) {
	const pools = "\npools: {web: {backends: 'a:1'}}\n"
	const each = ": who listens on all addresses has the port of each"
	for _, test := range []struct{ name, text, want string }{
		{"each family", `listeners: {pool: web, address: ['mptcp4@:1', 'mptcp6@:1']}`, ""},
		{"several of a family", `listeners: {pool: web, address: ['tcp4@127.0.0.1:1', 'tcp@127.0.0.2:1', 'tcp6@:1']}`, ""},
		{"any port", `listeners: {pool: web, address: [':0', ':0']}`, ""},
		{"names", `listeners: {pool: web, address: ['a:1', 'b:1', ':2']}`, ""},
		{"admin and metrics at one", "admin: {address: ':9'}\nmetrics: {address: ':9'}\nlisteners: {pool: web, address: ':1'}", ""},
		{"other protocol", `listeners: {pool: web, address: ['mptcp@:1', 'tcp@:1']}`,
			`1:46: listeners[0].address[1]: tcp@:1 is taken by listeners[0].address[0]`},
		{"one socket", `listeners: {pool: web, address: ['unix@a', 'unix@a', 'fd@a']}`,
			`1:44: listeners[0].address[1]: unix@a is taken by listeners[0].address[0]`},
		{"one after all", `listeners: {pool: web, address: ['mptcp@:1', 'tcp@127.0.0.1:1']}`,
			`1:46: listeners[0].address[1]: tcp@127.0.0.1:1 overlaps with mptcp@:1 of listeners[0].address[0]` + each},
		{"all after one", `listeners: {pool: web, address: ['tcp@[::1]:1', 'tcp@0.0.0.0:1']}`,
			`1:49: listeners[0].address[1]: tcp@0.0.0.0:1 overlaps with tcp@[::1]:1 of listeners[0].address[0]` + each},
		{"admin", "admin: {address: '127.0.0.1:1'}\nlisteners: {pool: web, address: ':1'}",
			`1:18: admin.address: 127.0.0.1:1 overlaps with :1 of listeners[0].address[0]` + each},
		{"bad ones are told once", "listeners: [{pool: web, address: x}, {pool: web, address: x}]",
			`1:34: listeners[0].address[0]: "x": want host:port, such as 192.0.2.1:80, [2001:db8::1]:80 or :80
1:59: listeners[1].address[0]: "x": want host:port, such as 192.0.2.1:80, [2001:db8::1]:80 or :80`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("f", []byte(test.text+pools))
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), "f:", "")
			}
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
