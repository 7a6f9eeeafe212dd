package braid_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/braid-mptcp/braid"
)

// An HTTP client over all uplinks of the host, by the kernel's Multipath TCP or
// Braid's own.
func ExampleOpen() {
	network, err := braid.Open(context.Background(), braid.OpenConfig{
		Warn: func(message string) { log.Print(message) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()
	client := http.Client{Transport: &http.Transport{DialContext: network.DialContext}}
	response, err := client.Get("http://example.org/")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(braid.KindOf(network), response.Status)
}
