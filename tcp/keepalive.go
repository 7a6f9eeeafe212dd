package tcp

import "time"

// keepAlive probes an idle peer (RFC 9293 section 3.8.4), and on request asks
// one for a sign of life.
type keepAlive struct {
	probes  int  // sent and not answered
	backoff int  // probes of a closed window in a row, answered or not
	send    bool // a probe is to be sent
}

func (k *keepAlive) start(c *Conn, now time.Time) {
	if c.cfg.KeepAlive.Idle > 0 {
		c.timer.set(timerKeep, now, c.cfg.KeepAlive.Idle)
	}
}

func (k *keepAlive) heard(c *Conn, now time.Time) {
	k.probes = 0
	if c.state.synchronized() {
		k.start(c, now)
	}
}

// Probe sends an empty segment that the peer must acknowledge.
func (c *Conn) Probe() { c.alive.send = true }

// LastHeard is when the last acceptable segment came.
func (c *Conn) LastHeard() time.Time { return c.rcv.last }

func (c *Conn) keepAliveTimeout(now time.Time) {
	if !c.sent.empty() {
		c.alive.start(c, now) // the retransmission timer watches
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

// persistTimeout probes. Deviation: the probe is an empty segment below the
// window, as Linux sends, which every receiver must answer with its window;
// a byte of new data beyond it (RFC 9293) would have to be taken back into
// account everywhere. Probing goes on as long as the peer answers.
func (c *Conn) persistTimeout(now time.Time) {
	if !c.upper.Pending() || !c.sent.empty() {
		return
	}
	if c.alive.probes >= c.cfg.Retries {
		c.abort(now, ErrTimeout)
		return
	}
	c.alive.probes++
	c.alive.backoff++
	c.stats.WindowProbes++
	c.alive.send = true
	c.timer.set(timerPersist, now, c.rtt.backoff(c.alive.backoff))
}
