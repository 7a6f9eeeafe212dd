package accesslog_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/accesslog"
	"github.com/braid-mptcp/braid/proxy/status"
)

// A line with what each subflow of the client's connection carried. The newline
// that the client sent stays within its field.
func ExampleLog() {
	log, err := accesslog.Open(&config.AccessLog{Format: config.AccessJSON, Output: "stdout"}, accesslog.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	log.Write(&accesslog.Record{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Listener: "web", Protocol: "HTTP/1.1",
		Method: []byte("GET"), Target: []byte("/"), UserAgent: []byte("evil\n"), Status: 200, Total: 1500 * time.Microsecond,
		Conn: accesslog.Connection{
			ID: 1, Client: netip.MustParseAddrPort("192.0.2.1:4000"), Multipath: true,
			Paths: []status.Path{{Interface: "eth0", Up: true, BytesOut: 700}, {Interface: "wlan0", Up: true, BytesOut: 300}},
		},
	})
	if err := log.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"time":"2026-01-02T03:04:05.000000Z","client":"192.0.2.1:4000","listener":"web","protocol":"HTTP/1.1","method":"GET","target":"/","status":200,"bytes_in":0,"bytes_out":0,"body_bytes":0,"duration_seconds":0.0015,"user_agent":"evil\u000a","connection":{"id":1,"local":"","requests":0,"bytes_in":0,"bytes_out":0,"multipath":true,"subflows":[{"local":"","remote":"","interface":"eth0","up":true,"bytes_in":0,"bytes_out":700,"retransmitted_bytes":0,"rtt_seconds":0},{"local":"","remote":"","interface":"wlan0","up":true,"bytes_in":0,"bytes_out":300,"retransmitted_bytes":0,"rtt_seconds":0}]}}
}
