package tcp

import "time"

// keepAlive probes an idle peer (RFC 9293 section 3.8.4), and on request asks
// one for a sign of life.
type keepAlive struct {
	probes  int  // sent and not answered
	backoff int  // probes of a closed window in a row, answered or not
	send    bool // a probe is to be sent
	octet   bool // with an octet in it
}

func (k *keepAlive) start(c *Conn, now time.Time) {
	if c.cfg.KeepAlive.Idle > 0 {
		c.timer.set(timerKeep, now, c.cfg.KeepAlive.Idle)
	}
}

func (k *keepAlive) heard(c *Conn, now time.Time) {
	k.probes = 0
	if c.state.Open() {
		k.start(c, now)
	}
}

// Probe sends an empty segment that the peer must acknowledge.
func (c *Conn) Probe() { c.alive.send = true }

// ProbeOctet is Probe with an octet that means nothing (RFC 9293 section 3.8.4):
// a peer that answers empty segments only now and then, as Linux does twice a
// second, answers this one at once.
func (c *Conn) ProbeOctet() { c.alive.send, c.alive.octet = true, true }

// Unanswered is how many probes, of an idle peer or of a closed window, were
// sent since the peer was last heard.
func (c *Conn) Unanswered() int { return c.alive.probes }

// LastHeard is when the last acceptable segment came.
func (c *Conn) LastHeard() time.Time { return c.rcv.last }

func (c *Conn) keepAliveTimeout(now time.Time) {
	if !c.sent.empty() || c.timer.running(timerPersist) {
		c.alive.start(c, now) // another timer watches
		return
	}
	if c.alive.probes >= c.cfg.KeepAlive.Count {
		c.abort(now, ErrTimeout)
		return
	}
	c.alive.probes++
	c.alive.send = true
	c.timer.set(timerKeep, now, c.cfg.KeepAlive.Interval)
}

// maybePersist begins to probe a window that is closed on bytes that wait (RFC
// 9293 section 3.8.6.1): the update that opens it may be lost.
func (c *Conn) maybePersist(now time.Time) {
	if c.timer.running(timerPersist) || !c.sent.empty() || !c.state.canSend() || !c.upper.Pending() {
		return
	}
	c.alive.probes, c.alive.backoff = 0, 0
	c.timer.set(timerPersist, now, c.rtt.rto)
}

// orphanProbes is how many probes of a closed window a peer gets whose
// connection nobody here waits for any more: keeping such a window closed is
// a way to use up memory (RFC 6429).
const orphanProbes = 8

// persistTimeout sends what fits a window that stayed too small for a full
// segment (the override of RFC 9293 section 3.8.6.2.1), or probes a closed one
// for as long as the peer answers. A window that is open and yet not used even
// then is another's, and closed there: the Upper's own.
//
// Deviation: the probe is an empty segment below the window, as Linux sends,
// which every receiver must answer with its window; a byte of new data beyond
// it (RFC 9293) would have to be taken back into account everywhere.
func (c *Conn) persistTimeout(now time.Time) {
	if !c.upper.Pending() || !c.sent.empty() {
		return
	}
	if c.snd.wnd > 0 && !c.snd.override {
		c.snd.override = true
		return
	}
	if c.probedEnough(now) {
		c.abort(now, ErrTimeout)
		return
	}
	c.alive.probes++
	c.alive.backoff++
	c.stats.WindowProbes++
	c.alive.send = true
	c.timer.set(timerPersist, now, c.rtt.backoff(c.alive.backoff))
}

// probedEnough reports whether the peer of a closed window is gone, or kept us
// waiting for too long.
func (c *Conn) probedEnough(now time.Time) bool {
	if c.cfg.UserTimeout > 0 {
		return c.alive.probes > 0 && now.Sub(c.rcv.last) >= c.cfg.UserTimeout
	}
	return c.alive.probes >= c.cfg.Retries || c.orphan && c.alive.backoff >= orphanProbes
}
