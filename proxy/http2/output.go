package http2

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// output is what is sent on a connection. The connection's mu is held by whoever
// uses it.
//
// There is no goroutine that writes. Whoever has appended frames writes them,
// and those of others that came meanwhile, unless somebody else is at it.
type output struct {
	buf      []byte // frames to be written
	spare    []byte
	flushing bool  // somebody writes
	closing  bool  // the stream to the client ends with what is in buf
	err      error // nothing can be written any more
	room     sync.Cond

	window  int64 // what the client takes on all streams
	initial int64 // and on a new one
	frame   int   // bytes of a frame at most

	encoder *hpack.Encoder
	block   bytes.Buffer
	strings map[string]string // see intern
}

const (
	// outLimit is from how many bytes on data has to wait.
	outLimit = 64 << 10
	// outMost is how many there may be. Beyond outLimit are the answers that
	// a client provokes, and if it does not read them, it means harm.
	outMost = 512 << 10
	// fewBytes is what is worth waiting a moment for others to add theirs.
	fewBytes = 4096
)

func (o *output) init(c *conn) {
	o.room.L = &c.mu
	o.window, o.initial, o.frame = 65535, 65535, maxFrame // RFC 9113 section 6.5.2
	o.encoder = hpack.NewEncoder(&o.block)
	o.encoder.SetMaxDynamicTableSizeLimit(tableSize)
}

// fail has all writing end.
func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
		o.buf = nil
	}
	o.room.Broadcast()
}

// pending reports whether there is something to be written that nobody writes.
func (o *output) pending() bool {
	return !o.flushing && o.err == nil && (len(o.buf) > 0 || o.closing)
}

// flush writes what there is. mu is held, and released meanwhile.
func (c *conn) flush() {
	o := &c.out
	if !o.pending() {
		return
	}
	o.flushing = true
	if len(o.buf) < fewBytes && c.running > 1 {
		// Responses come close to each other when requests did. Letting the
		// others go first, most of them go out in one write.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.writeOut()
}

// flushSoon is flush by another goroutine: the one that reads must not wait for
// a client that does not.
func (c *conn) flushSoon() {
	if !c.out.pending() {
		return
	}
	c.out.flushing = true
	go func() {
		c.mu.Lock()
		c.writeOut()
		c.mu.Unlock()
	}()
}

// flushAll is flush that waits until all is written, whoever does it.
func (c *conn) flushAll() {
	for o := &c.out; o.err == nil && (o.flushing || len(o.buf) > 0); {
		if o.flushing {
			o.room.Wait()
			continue
		}
		c.flush()
	}
}

// maxRounds is after how many writes another goroutine goes on, since the one
// that writes has a request to serve.
const maxRounds = 8

// writeOut is for whoever has set flushing.
func (c *conn) writeOut() {
	o := &c.out
	for round := 0; len(o.buf) > 0 && o.err == nil; round++ {
		if round == maxRounds {
			o.flushing = false
			c.flushSoon()
			return
		}
		b := o.buf
		o.buf = o.spare[:0]
		c.mu.Unlock()
		c.writing.Store(int64(c.server.now()) + 1)
		_, err := c.nc.Write(b)
		c.writing.Store(0)
		c.mu.Lock()
		o.spare = b[:0]
		if err != nil {
			o.fail(err)
			c.wakeAll()
		}
		o.room.Broadcast()
	}
	o.flushing = false
	o.room.Broadcast()
	c.trim()
	if o.closing && o.err == nil {
		o.fail(errGone)
		c.mu.Unlock()
		if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
			cw.CloseWrite()
		} else {
			c.nc.Close()
		}
		c.mu.Lock()
	}
}

// keepMost is how large buffers may be that an idle connection keeps.
const keepMost = 8 << 10

// trim gives up large buffers while nothing is being served. mu is held.
func (c *conn) trim() {
	o := &c.out
	if c.running > 0 || o.flushing || len(o.buf) > 0 {
		return
	}
	if cap(o.buf) > keepMost {
		o.buf = nil
	}
	if cap(o.spare) > keepMost {
		o.spare = nil
	}
}

// appendHead appends the head of a frame (RFC 9113 section 4.1).
func (o *output) appendHead(t http2.FrameType, flags http2.Flags, id uint32, length int) {
	o.buf = append(o.buf, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags))
	o.buf = binary.BigEndian.AppendUint32(o.buf, id)
}

// appendGreeting appends our settings (RFC 9113 section 3.4) and the window of
// the connection.
func (c *conn) appendGreeting() {
	o := &c.out
	settings := []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: c.limits.streams},
		{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.headLimit())},
		{ID: http2.SettingEnableConnectProtocol, Val: 1}, // RFC 8441
		{ID: http2.SettingNoRFC7540Priorities, Val: 1},   // RFC 9218 section 2.1
	}
	o.appendHead(http2.FrameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(s.ID))
		o.buf = binary.BigEndian.AppendUint32(o.buf, s.Val)
	}
	c.appendWindowUpdate(0, connWindow-65535)
}

func (c *conn) appendSettingsAck() {
	c.out.appendHead(http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
}

func (c *conn) appendPing(ack bool, data [8]byte) {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	c.out.appendHead(http2.FramePing, flags, 0, len(data))
	c.out.buf = append(c.out.buf, data[:]...)
}

func (c *conn) appendWindowUpdate(id uint32, n int) {
	c.out.appendHead(http2.FrameWindowUpdate, 0, id, 4)
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, uint32(n))
}

func (c *conn) appendReset(id uint32, code http2.ErrCode) {
	c.out.appendHead(http2.FrameRSTStream, 0, id, 4)
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, uint32(code))
}

func (c *conn) appendGoAway(last uint32, code http2.ErrCode) {
	c.out.appendHead(http2.FrameGoAway, 0, 0, 8)
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, last)
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, uint32(code))
}

// appendBlock appends the header block that was encoded into out.block.
func (c *conn) appendBlock(id uint32, end bool) {
	o := &c.out
	block := o.block.Bytes()
	t, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for first := true; first || len(block) > 0; first = false {
		part := block[:min(len(block), o.frame)]
		block = block[len(part):]
		if len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		o.appendHead(t, flags, id, len(part))
		o.buf = append(o.buf, part...)
		t, flags = http2.FrameContinuation, 0
	}
	o.block.Reset()
}

// encode adds a field to the block. Cookies are left out of the table of
// compression (RFC 7541 section 7.1.3), where they would do harm and no good.
func (o *output) encode(name, value string) {
	o.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: name == "set-cookie"})
}

// Names and values come again and again, so they are made strings once for a
// connection, within limits.
const (
	internCount  = 256
	internLength = 64
)

func (o *output) intern(b []byte) string {
	if s, ok := o.strings[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(b) <= internLength {
		if len(o.strings) >= internCount || o.strings == nil {
			o.strings = make(map[string]string)
		}
		o.strings[s] = s
	}
	return s
}
