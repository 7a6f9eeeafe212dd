package proxy

import (
	"net"
	"os"

	_ "example.com/unknown/module" // want dependency
	_ "github.com/braid-mptcp/braid/balance"
	_ "github.com/braid-mptcp/braid/stack" // want import
)

var dial = net.Dial

func set() { dial = nil; go os.Exit(1) }
