package lab_test

import (
	"fmt"
	"time"

	"github.com/braid-mptcp/braid/lab"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/sim"
)

func ExampleEmulator() {
	e := lab.NewEmulator(1)
	defer e.Close()
	wireless := e.AddLine("wireless",
		sim.LinkConfig{Rate: 20e6, Delay: 30 * time.Millisecond},
		sim.LinkConfig{Rate: 20e6, Delay: 30 * time.Millisecond})

	start := time.Now()
	wireless.A().Write([]link.Packet{{Data: []byte("hello")}})
	pkts := []link.Packet{{Data: make([]byte, 1500)}}
	n, err := wireless.B().Read(pkts)
	fmt.Println(n, err, string(pkts[0].Data), time.Since(start) > 30*time.Millisecond)
	// Output: 1 <nil> hello true
}
