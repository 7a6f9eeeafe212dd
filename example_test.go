package braid_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/link"
)

// twoStacks are a client and a server with two cables between them.
func twoStacks() (client, server *braid.Stack) {
	var near, far braid.Config
	for _, net := range []string{"10.0.1", "10.0.2"} {
		a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
		near.Interfaces = append(near.Interfaces, braid.Interface{Device: a, Addresses: []braid.Address{
			{Addr: netip.MustParseAddr(net + ".1"), Bits: 24, Flags: braid.Subflow}}})
		far.Interfaces = append(far.Interfaces, braid.Interface{Device: b, Addresses: []braid.Address{
			{Addr: netip.MustParseAddr(net + ".2"), Bits: 24, Flags: braid.Signal}}})
	}
	client, err := braid.NewStack(near)
	if err != nil {
		log.Fatal(err)
	}
	if server, err = braid.NewStack(far); err != nil {
		log.Fatal(err)
	}
	return client, server
}

// An ordinary HTTP server and client, over two paths at once.
func ExampleStack() {
	client, server := twoStacks()
	defer client.Close()
	defer server.Close()

	l, err := server.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.URL.Path[1:])
	}))

	browser := http.Client{Transport: &http.Transport{DialContext: client.DialContext}}
	response, err := browser.Get("http://10.0.1.2/braid")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: hello, braid <nil>
}

// InfoOf tells whether a connection is Multipath TCP.
func ExampleInfoOf() {
	client, server := twoStacks()
	defer client.Close()
	defer server.Close()

	l, err := server.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	c, err := client.Dial("tcp", "10.0.1.2:80")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	info, ok := braid.InfoOf(c)
	fmt.Println(ok, info.Multipath, info.Version)
	// Output: true true 1
}
