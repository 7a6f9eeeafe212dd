package get_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/get"
)

// A download over whatever the host offers.
func ExampleRun() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(0, 0), strings.NewReader("hello, braid"))
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "get")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	network, err := braid.Open(context.Background(), braid.OpenConfig{Kind: braid.Plain})
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()
	report, err := get.Run(context.Background(), get.Config{
		URL: server.URL + "/hello", Network: network, Output: filepath.Join(dir, "hello"), Retries: 5,
	})
	fmt.Println(report.Complete, report.Size, err)
	// Output: true 12 <nil>
}
