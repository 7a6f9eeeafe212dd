package stream_test

import (
	"fmt"

	"github.com/braid-mptcp/braid/stream"
)

// Bytes arrive in any order and are read in theirs.
func ExampleRecv() {
	pool := new(stream.Pool)
	r := stream.NewRecv(pool, 64<<10)
	r.Insert(7, []byte("world"))
	fmt.Println(r.Readable(), r.Ahead())
	r.Insert(1, []byte("hello "))
	b := make([]byte, 100)
	n := r.Read(b)
	fmt.Printf("%s, next %d\n", b[:n], r.Next())
	// Output:
	// 0 5
	// hello world, next 12
}
