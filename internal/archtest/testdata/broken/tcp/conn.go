package tcp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/mptcp" // want import
	"github.com/braid-mptcp/braid/seq"
)

var _ = mptcp.X
var _ = seq.X

func clock() {
	_ = time.Now()  // want clock
	f := time.Since // want clock
	time.Sleep(1)   // want clock
	_ = f
	var timer *time.Timer
	_ = timer
}

func random() {
	_ = rand.IntN(3) // want random
	r := rand.New(rand.NewPCG(1, 2))
	_ = r.IntN(3)
}

func concurrent() {
	go clock()             // want concurrent
	c := make(chan int, 1) // want concurrent
	c <- 1                 // want concurrent
	<-c                    // want concurrent
	select {}              // want concurrent
}

func order(m map[int]string) {
	for range m { // want maporder
	}
	for k := range maps.Keys(m) { // want maporder
		_ = k
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		_ = k
	}
	// any order: only a sum is taken
	for k := range m {
		_ = k
	}
	// any order:
	for k := range m { // want maporder
		_ = k
	}
	for i := range []int{1} {
		_ = i
	}
}

func output() {
	fmt.Println("x") // want output
	println("x")     // want output
	_ = fmt.Sprintf("%d", 1)
	panic(fmt.Sprintf("BUG: %d", 1))
}
