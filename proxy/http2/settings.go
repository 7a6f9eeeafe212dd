package http2

import (
	"math"

	"golang.org/x/net/http2"
)

// handleSettings puts the client's settings in force and says so (RFC 9113
// section 6.5).
func (c *conn) handleSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if err := c.useless(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := f.ForeachSetting(c.set); err != nil {
		return err
	}
	c.appendSettingsAck()
	c.flushSoon()
	return nil
}

// set puts one setting in force. mu is held.
func (c *conn) set(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		return err
	}
	switch s.ID {
	case http2.SettingHeaderTableSize:
		c.out.encoder.SetMaxDynamicTableSize(s.Val)
	case http2.SettingMaxFrameSize:
		c.out.frame = min(int(s.Val), maxFrame)
	case http2.SettingInitialWindowSize:
		return c.setInitialWindow(int64(s.Val))
	}
	return nil
}

// setInitialWindow changes the windows of all streams by the difference, which
// may make them negative (RFC 9113 section 6.9.2).
func (c *conn) setInitialWindow(size int64) error {
	more := size - c.out.initial
	c.out.initial = size
	for _, st := range c.streams {
		if st.window += more; st.window > math.MaxInt32 {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		st.changed.Broadcast()
	}
	return nil
}

// handleWindowUpdate lets more be sent (RFC 9113 section 6.9).
func (c *conn) handleWindowUpdate(f *http2.WindowUpdateFrame) error {
	if f.Increment < tinyUpdate {
		if err := c.useless(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID == 0 {
		if c.out.window += int64(f.Increment); c.out.window > math.MaxInt32 {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		for _, st := range c.streams {
			if st.waiting {
				st.changed.Broadcast()
			}
		}
		return nil
	}
	st := c.streams[f.StreamID]
	if st == nil {
		if (f.StreamID > c.last || f.StreamID%2 == 0) && c.going != leaving {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		return nil // it may have been under way when the stream ended
	}
	if st.window += int64(f.Increment); st.window > math.MaxInt32 {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
	}
	st.changed.Broadcast()
	return nil
}

// tinyUpdate is an increment that nobody needs to send: many of them make us
// send as many frames of a few bytes.
const tinyUpdate = 64

// wakeAll has all streams look again whether they can go on. mu is held.
func (c *conn) wakeAll() {
	for _, st := range c.streams {
		st.changed.Broadcast()
	}
}
