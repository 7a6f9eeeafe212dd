package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor is systemd, if it started this process and wants to hear of it
// (sd_notify(3)). Where it does not, telling it does nothing.
type supervisor struct{ log *slog.Logger }

func (s supervisor) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("systemd cannot be told", "error", err)
	}
}

// ready tells that the start, or a reload, is over.
func (s supervisor) ready(status string) {
	s.tell(fmt.Sprintf("%s\nMAINPID=%d\nSTATUS=%s", daemon.SdNotifyReady, os.Getpid(), status))
}

// reloading tells that a reload begins. The time is what Type=notify-reload
// tells reloads apart by.
func (s supervisor) reloading() {
	s.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// stopping tells that the end begins, and how long it may take.
func (s supervisor) stopping(drain time.Duration) {
	s.tell(fmt.Sprintf("%s\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, (drain + 5*time.Second).Microseconds()))
}

// alive is for the watchdog.
func (s supervisor) alive() { s.tell(daemon.SdNotifyWatchdog) }

// watchdog gives the times at which to say that we are alive. nil: nobody wants
// to hear it.
func (s supervisor) watchdog() (ticks <-chan time.Time, stop func()) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("systemd's watchdog", "error", err)
	}
	if limit <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(max(limit/3, time.Millisecond))
	return ticker.C, ticker.Stop
}

// firstHandedOver is the number of the first socket that systemd hands over
// (sd_listen_fds(3)).
const firstHandedOver = 3

// handedOver takes the sockets that systemd hands over, by their names
// (FileDescriptorName=) and numbers. Several may have one name.
func handedOver() (map[string][]net.Listener, error) {
	sockets := make(map[string][]net.Listener)
	for i, f := range activation.Files(true) {
		number := strconv.Itoa(firstHandedOver + i)
		l, err := net.FileListener(f)
		name := f.Name()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("socket %s (%s) that was handed over cannot be listened to: %w", number, name, err)
		}
		sockets[name] = append(sockets[name], l)
		if name != number {
			sockets[number] = append(sockets[number], l)
		}
	}
	return sockets, nil
}
