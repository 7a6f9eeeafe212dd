package relay_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/relay"
)

// A server in front of a service that says hello.
func ExampleServer() {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer service.Close()
	go func() {
		for {
			c, err := service.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	}()

	network, err := braid.Open(context.Background(), braid.OpenConfig{Kind: braid.Plain})
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()
	server := relay.NewServer(relay.Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", service.Addr().String())
		},
		Log: slog.New(slog.DiscardHandler),
	})
	front, err := network.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(front)

	c, err := network.DialContext(context.Background(), "tcp", front.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	text, err := io.ReadAll(c)
	c.Close()
	fmt.Printf("%q %v\n", text, err)
	fmt.Println(server.Shutdown(context.Background()))
	// Output:
	// "hello\n" <nil>
	// <nil>
}
