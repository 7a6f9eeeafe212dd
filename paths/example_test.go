package paths_test

import (
	"fmt"
	"log"
	"os"

	"github.com/braid-mptcp/braid/paths"
)

// What a host has, and what it lacks.
func ExampleLook() {
	o, err := paths.Look()
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range o.Uplinks {
		fmt.Println(u.Name, len(u.Ways))
	}
	if err := o.Print(os.Stdout); err != nil {
		log.Fatal(err)
	}
}
