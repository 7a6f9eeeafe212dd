package host

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/link"
)

// dozing is a device whose Wait sleeps on, when told to, though packets are there.
type dozing struct {
	link.Poller
	asleep atomic.Bool
	closed chan struct{}
}

func (d *dozing) Wait() error {
	err := d.Poller.Wait()
	for err == nil && d.asleep.Load() {
		select {
		case <-d.closed:
			return link.ErrClosed
		case <-time.After(time.Millisecond):
		}
	}
	return err
}

func (d *dozing) Close() error {
	close(d.closed)
	return d.Poller.Close()
}

// A Read that would have to wait fetches its packets itself.
func TestReadPolls(t *testing.T) {
	var dev *dozing
	h := &twoHosts{clientEnd: func(_ int, end link.Device) link.Device {
		dev = &dozing{Poller: end.(link.Poller), closed: make(chan struct{})}
		return dev
	}}
	h.connect(t, 1)
	defer h.close(t)
	client, server := h.pipe(t)

	dev.asleep.Store(true)
	// The reader may have been awake still; what it leaves in the device from
	// now on only a Read can fetch.
	client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read of nothing: %v, want %v", err, os.ErrDeadlineExceeded)
	}
	client.SetReadDeadline(time.Time{})
	if _, err := server.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v, want hello", got, err)
	}
	if !dev.asleep.Load() {
		t.Fatal("BUG: the device woke")
	}
	dev.asleep.Store(false)
	closeBoth(t, client, server)
}
