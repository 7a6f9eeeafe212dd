package braid

import (
	"testing"

	"github.com/braid-mptcp/braid/kernel"
)

// TestSentOnce corrects what the kernel counts as sent.
func TestSentOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		info kernel.TCPInfo
		want uint64
	}{
		{"all acknowledged", kernel.TCPInfo{BytesSent: 5000, BytesAcked: 5000, SndMSS: 1000}, 5000},
		{"some on the way", kernel.TCPInfo{BytesSent: 5000, BytesAcked: 3000, Unacked: 2, SndMSS: 1000}, 5000},
		{"small segments on the way", kernel.TCPInfo{BytesSent: 3100, BytesAcked: 3000, Unacked: 2, SndMSS: 1000}, 3100},
		{"nothing acknowledged yet", kernel.TCPInfo{BytesSent: 700, Unacked: 1, SndMSS: 1000}, 700},
		{"retransmitted", kernel.TCPInfo{BytesSent: 6000, BytesRetrans: 1000, BytesAcked: 5000, SndMSS: 1000}, 5000},
		{"tried three times for a full queue", kernel.TCPInfo{BytesSent: 15000, BytesAcked: 5000, SndMSS: 1000}, 5000},
		{"nonsense", kernel.TCPInfo{BytesRetrans: 1000, SndMSS: 1000}, 0},
	} {
		if got := kernelSubflow(kernel.Subflow{TCP: test.info}).BytesSent; got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
