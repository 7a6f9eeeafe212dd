package config_test

import (
	"fmt"

	"github.com/braid-mptcp/braid/config"
)

// Mistakes are told all at once, with their places.
func Example() {
	_, err := config.Parse("braid.yaml", []byte(`
listeners:
  - address: mptcp@:443
    pool: wbe
pools:
  web:
    backends: [10.0.0.1:80, 10.0.0.2]
    polcy: maglev
    queue_timeout: 30
`))
	fmt.Println(err)
	// Output:
	// braid.yaml:4:11: listeners[0].pool: there is no pool "wbe"; did you mean "web"?
	// braid.yaml:7:29: pools.web.backends[1].address: "10.0.0.2": want host:port, such as 192.0.2.1:80, [2001:db8::1]:80 or :80
	// braid.yaml:8:5: pools.web: unknown key "polcy"; did you mean "policy"?
	// braid.yaml:9:20: pools.web.queue_timeout: "30" needs a unit, such as 30s or 30ms
}
