package stream

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestTunerFollowsSlowStart plays a sender that doubles each round until the
// path is full, and wants the window never to have held it back.
func TestTunerFollowsSlowStart(t *testing.T) {
	const rtt = 50 * time.Millisecond
	const path = 5 << 20 // bytes per round trip
	tuner := Tuner{Max: 64 << 20}
	limit, now := InitialRecv, epoch
	for round, sent := 0, 15<<10; round < 20; round, sent = round+1, min(2*sent, path) {
		if limit < sent {
			t.Fatalf("at %v the window of %d holds back a sender of %d bytes per round", now.Sub(epoch), limit, sent)
		}
		for range 10 {
			now = now.Add(rtt / 10)
			limit = max(limit, tuner.Read(now, sent/10, rtt))
		}
	}
	if limit < 2*path || limit > 8*path {
		t.Errorf("window is %d bytes in the end, want 2 to 8 times %d", limit, path)
	}
}

func TestTunerKeepsToMax(t *testing.T) {
	tuner := Tuner{Max: 1 << 20}
	now, got := epoch, 0
	for n := 1 << 10; n < 1<<30; n *= 2 {
		now = now.Add(10 * time.Millisecond)
		got = max(got, tuner.Read(now, n, 10*time.Millisecond))
	}
	if got != 1<<20 {
		t.Errorf("asked for %d, want Max = %d", got, 1<<20)
	}
}

func TestTunerStaysForSteadyReader(t *testing.T) {
	tuner := Tuner{Max: 64 << 20}
	now, asked, limit := epoch, 0, 0
	for range 1000 {
		now = now.Add(time.Millisecond)
		if grow := tuner.Read(now, 1000, 20*time.Millisecond); grow > 0 {
			asked, limit = asked+1, max(limit, grow)
		}
	}
	// 20 kB per round: twice that, doubled for the first rounds, and slack.
	if asked > 3 || limit > 4*21_000+tunerSlack {
		t.Errorf("asked %d times, up to %d", asked, limit)
	}
}

func TestTunerWithoutRTT(t *testing.T) {
	tuner := Tuner{Max: 64 << 20}
	for i := range 100 {
		if got := tuner.Read(epoch.Add(time.Duration(i)*time.Second), 1<<20, 0); got != 0 {
			t.Fatalf("asked for %d without knowing the round-trip time", got)
		}
	}
}
