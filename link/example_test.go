package link_test

import (
	"fmt"

	"github.com/braid-mptcp/braid/link"
)

func ExampleNewPair() {
	a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
	defer a.Close()
	defer b.Close()

	a.Write([]link.Packet{{Data: []byte("one")}, {Data: []byte("two")}})

	pkts := []link.Packet{{Data: make([]byte, 1500)}, {Data: make([]byte, 1500)}}
	n, err := b.Read(pkts)
	fmt.Println(n, err)
	fmt.Println(string(pkts[0].Data), string(pkts[1].Data))
	// Output:
	// 2 <nil>
	// one two
}
