package status_test

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/braid-mptcp/braid/proxy/status"
)

// A connection's account is looked at from time to time, and closed before the
// connection is.
func ExampleLedger() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	ledger := status.NewLedger(nil)
	account := ledger.Open(conn, false)
	io.WriteString(client, "hello")
	io.ReadFull(conn, make([]byte, 5))
	account.Close(time.Now())

	totals := ledger.Totals()
	fmt.Println("connections:", totals.Connections, "closed:", totals.Closed)
	for _, p := range totals.Paths {
		fmt.Println(p.Name, p.Plain.Subflows, "subflow,", p.Plain.BytesIn, "bytes in")
	}
	// Output:
	// connections: 1 closed: 1
	// 127.0.0.1 1 subflow, 5 bytes in
}

// Requests are counted for each listener and pool.
func ExampleSeries() {
	ledger := status.NewLedger(nil)
	series := ledger.Series("web", "app")
	for i := range 100 {
		series.Add(&status.Request{Code: 200, Duration: time.Duration(i+1) * time.Millisecond, BytesOut: 1000})
	}
	r := ledger.Totals().Requests[0]
	fmt.Println(r.Count(), "requests,", r.BytesOut, "bytes, half of them within", r.Duration.Quantile(0.5))
	// Output:
	// 100 requests, 100000 bytes, half of them within 50ms
}
