package host

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// A writer of much has a goroutine send for it, others do not; it ends with the
// Host, even with much left to send.
func TestPusher(t *testing.T) {
	h := &twoHosts{}
	h.connect(t, 2)
	client, server := h.pipe(t)
	started := func() bool {
		h.client.shard.mu.Lock()
		defer h.client.shard.mu.Unlock()
		return h.client.shard.pusher.started
	}
	if _, err := client.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if started() {
		t.Error("a small write woke the pusher")
	}

	// Meanwhile another connection's small messages go to and fro.
	calm, other := h.pipe(t)
	go io.Copy(other, other)
	want := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(want)
	go client.Write(want)
	got := make([]byte, len(want))
	for n, step := 0, len(want)/64; n < len(want); n += step {
		if _, err := io.ReadFull(server, got[n:n+step]); err != nil {
			t.Fatal(err)
		}
		message := []byte{byte(n / step)}
		if _, err := calm.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(calm, message); err != nil || message[0] != byte(n/step) {
			t.Fatalf("echo of %d: %d, %v", n/step, message[0], err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("bytes received are not those sent")
	}
	if !started() {
		t.Error("a large write sent by itself")
	}

	ended := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, 64<<20)) // more than is ever read
		ended <- err
	}()
	if _, err := io.ReadFull(server, got); err != nil {
		t.Fatal(err)
	}
	h.close(t)
	if err := <-ended; err == nil {
		t.Error("a write of more than was read ended well")
	}
	wantGoroutines(t, 0)
}
