package pcap_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/braid-mptcp/braid/link/pcap"
	"github.com/braid-mptcp/braid/wire"
)

func Example() {
	var file bytes.Buffer // an *os.File, usually
	w := pcap.NewWriter(&file)
	wired, err := w.Interface("wired")
	if err != nil {
		fmt.Println(err)
		return
	}
	packet := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	if err := wired.WritePacket(time.Unix(0, 0), packet, wire.Offload{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Close(), file.Len() > 0)
	// Output: <nil> true
}
