package balance_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/braid-mptcp/braid/balance"
)

// Ten clients with three requests each reach a server over one connection.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	set := balance.NewSet()
	defer set.Close()
	err := set.Apply(context.Background(), balance.Config{
		Name:   "web",
		Source: balance.Static{{Address: server.Listener.Addr().String()}},
		Dial:   new(net.Dialer).DialContext,
		Reuse:  balance.Reuse{Mode: balance.ReuseAlways},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := set.Pool("web")
	for i := range 10 {
		client := balance.NewClient(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		for range 3 {
			if err := request(pool, client); err != nil {
				fmt.Println(err)
			}
		}
		client.Close()
	}
	counts := pool.Stats().Conns
	fmt.Printf("%d opened, %d reused\n", counts.Opened, counts.Reused)
	// Output: 1 opened, 29 reused
}

func request(pool *balance.Pool, client *balance.Client) error {
	conn, err := pool.Get(context.Background(), balance.Request{Client: client, Idempotent: true})
	if err != nil {
		return err
	}
	io.WriteString(conn.NetConn(), "GET / HTTP/1.1\r\nHost: backend\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn.NetConn()), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	conn.Report(err == nil)
	if err != nil || resp.Close {
		conn.Discard()
		return err
	}
	conn.Put()
	return nil
}
