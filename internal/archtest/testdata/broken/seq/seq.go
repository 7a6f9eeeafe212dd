package seq

import (
	"net/netip"
	"os"   // want standard
	"sync" // want standard
	"time"
)

var count int

var table = [2]int{1, 2}

type state struct{ m sync.Mutex }

func (s *state) fine(now time.Time, a netip.Addr) time.Time { return now.Add(time.Duration(table[0])) }

func change() {
	count++      // want global
	table[0] = 3 // want global
	(count) = 4  // want global
	local := count
	local++
	_, _ = local, os.Args
	panic("no prefix") // want panic
}

const X = 1
