package admin_test

import (
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/braid-mptcp/braid/proxy/admin"
	"github.com/braid-mptcp/braid/proxy/status"
)

// starting is a proxy that does not serve yet.
type starting struct{}

func (starting) Snapshot() status.Snapshot { return status.Snapshot{Time: time.Now()} }

func ExampleNew() {
	handler := admin.New(starting{}, admin.Options{})
	defer handler.Close()
	for _, path := range []string{"/healthz", "/readyz"} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		fmt.Print(path, " ", answer.Code, " ", answer.Body)
	}
	// Output:
	// /healthz 200 ok
	// /readyz 503 starting
}
