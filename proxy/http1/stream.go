package http1

import (
	"net"
	"net/netip"
)

// Stream is the connection of a single request, as HTTP/2 has them: the request
// can be read from it as a message of HTTP/1.1, then the end; the response is
// written to it. Its deadlines are set to times long past or to none.
type Stream interface {
	net.Conn
	// Begin is called before all other methods.
	Begin(r *Running)
}

// Streams serve the streams of one client connection.
type Streams struct {
	engine   *Engine
	frontend *Frontend
	conn     net.Conn
	client   netip.AddrPort
	local    netip.AddrPort
	data     any
	protocol string
	serve    func(net.Conn) // serveStream, made once
}

// NewStreams prepares for the streams of conn. connData is the ConnData of
// their exchanges, and protocol the Protocol.
func (e *Engine) NewStreams(conn net.Conn, f *Frontend, connData any, protocol string) *Streams {
	m := &Streams{
		engine: e, frontend: f, conn: conn, data: connData, protocol: protocol,
		client: addrPort(conn.RemoteAddr()), local: addrPort(conn.LocalAddr()),
	}
	m.serve = m.serveStream
	return m
}

// Go serves s in a goroutine, as ServeConn serves a connection, and closes it.
// It is false, and s is left alone, if the engine takes no more.
func (m *Streams) Go(s Stream) bool {
	if !m.engine.begin() {
		return false
	}
	m.engine.spawn(task{s, m.serve})
	return true
}

// serveStream is the goroutine of a stream.
func (m *Streams) serveStream(conn net.Conn) {
	s := conn.(Stream)
	e := m.engine
	defer e.end()
	c := &clientConn{engine: e, frontend: m.frontend, client: m.client, local: m.local, data: m.data, streams: m}
	c.init(s, nil)
	c.sock.blocked = (*clientBlocked)(c)
	c.ctx.parent = e.ctx
	c.setRead(m.frontend.settings.Load().Timeouts.Head, inMessage)
	s.Begin((*Running)(c))
	e.sweeper.add(c)
	c.run()
}

// Running is a stream being served. Its methods may be called by any goroutine,
// and also when it is no longer served.
type Running clientConn

// HangUp says that the client has gone. Reads and writes of the stream fail from
// then on; what waits for a server ends here.
func (r *Running) HangUp() { (*clientConn)(r).hangUp() }

// Progress says that a write has come further: it has more time from now on.
func (r *Running) Progress() {
	if r.write.word.Load() > 0 {
		(*clientBlocked)(r).blocked()
	}
}
