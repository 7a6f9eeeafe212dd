//go:build linux

package netns

import (
	"reflect"
	"testing"
)

func TestParseCounters(t *testing.T) {
	c := make(Counters)
	err := c.parse([]byte("Tcp: RetransSegs MaxConn\nTcp: 7 -1\nMPTcpExt: MPJoinAckRx\nMPTcpExt: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Counters{"TcpRetransSegs": 7, "TcpMaxConn": -1, "MPTcpExtMPJoinAckRx": 2}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %v, want %v", c, want)
	}
	for _, bad := range []string{"Tcp: A\n", "Tcp: A\nTcp: 1 2\n", "Tcp: A\nUdp: 1\n", "Tcp: A\nTcp: x\n"} {
		if err := c.parse([]byte(bad)); err == nil {
			t.Errorf("parse(%q) succeeded", bad)
		}
	}
}

func TestCountersSince(t *testing.T) {
	old := Counters{"MPTcpExtA": 1, "MPTcpExtB": 5, "TcpA": 3}
	now := Counters{"MPTcpExtA": 4, "MPTcpExtB": 5, "TcpA": 9, "MPTcpExtC": 1}
	got := now.Since(old).With("MPTcpExt")
	if want := (Counters{"MPTcpExtA": 3, "MPTcpExtC": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
