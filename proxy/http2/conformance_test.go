package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// conformanceCase is what a client does, and what must come of it.
type conformanceCase struct {
	section string // of RFC 9113, if nothing else is said
	name    string
	do      func(r *raw)
	want    want
}

// want is what must come.
type want struct {
	id     uint32 // the stream it is about; 0: 1
	status string // a response
	body   string // which ends so
	stream []http2.ErrCode
	conn   []http2.ErrCode // GOAWAY with it, and the end of the connection
}

const (
	protocolError = http2.ErrCodeProtocol
	flowError     = http2.ErrCodeFlowControl
	sizeError     = http2.ErrCodeFrameSize
	streamClosed  = http2.ErrCodeStreamClosed
	compression   = http2.ErrCodeCompression
)

func connError(codes ...http2.ErrCode) want { return want{conn: codes} }

func streamError(codes ...http2.ErrCode) want { return want{stream: codes} }

// either is an error of the stream or of the connection.
func either(codes ...http2.ErrCode) want { return want{stream: codes, conn: codes} }

var served = want{status: "200", body: "hello"}

func (w want) on(id uint32) want {
	w.id = id
	return w
}

// check reads until something has come of it.
func (w want) check(t *testing.T, r *raw) {
	t.Helper()
	got := r.response(max(w.id, 1))
	switch {
	case w.status != "" && got.status == w.status && strings.HasSuffix(got.body, w.body) && got.reset == nil:
		return
	case got.reset != nil && slices.Contains(w.stream, *got.reset):
		// The connection goes on, unless it is full.
		r.headers(1001, true, get()...)
		if next := r.response(1001); next.status != "200" && *got.reset != http2.ErrCodeRefusedStream {
			t.Errorf("after the stream error the connection does not go on: %v", next)
		}
		return
	case got.goAway != nil && slices.Contains(w.conn, *got.goAway):
		if end := r.response(0); !end.closed {
			t.Errorf("after GOAWAY: %v", end)
		}
		return
	}
	t.Errorf("got %v; want %+v", got, w)
}

// request sends a request on stream 1 that ends at once.
func request(fields ...string) func(r *raw) {
	return func(r *raw) { r.headers(1, true, fields...) }
}

// malformed is a request that is refused before it is one.
func malformed(section, name string, fields ...string) conformanceCase {
	return conformanceCase{section, name, request(fields...), streamError(protocolError)}
}

func fine(section, name string, fields ...string) conformanceCase {
	return conformanceCase{section, name, request(fields...), served}
}

// open opens stream 1 and leaves it open.
func open(r *raw) { r.headers(1, false, post()...) }

// raw0 sends a frame with nothing done before.
func raw0(t http2.FrameType, flags http2.Flags, id uint32, payload string) func(r *raw) {
	return func(r *raw) { r.frame(t, flags, id, []byte(payload)) }
}

// opened sends a frame when stream 1 is open.
func opened(t http2.FrameType, flags http2.Flags, id uint32, payload string) func(r *raw) {
	return func(r *raw) {
		open(r)
		r.frame(t, flags, id, []byte(payload))
	}
}

// block sends a header block of the bytes given, on stream 1.
func blockOf(b ...byte) func(r *raw) {
	return func(r *raw) {
		r.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 1, b)
	}
}

func setting(id http2.SettingID, v uint32) string {
	b := binary.BigEndian.AppendUint16(nil, uint16(id))
	return string(binary.BigEndian.AppendUint32(b, v))
}

func number(v uint32) string { return string(binary.BigEndian.AppendUint32(nil, v)) }

// without gives the fields of a request without one of them.
func without(name string) []string {
	f := get()
	for i := 0; i < len(f); i += 2 {
		if f[i] == name {
			return append(f[:i:i], f[i+2:]...)
		}
	}
	panic(name)
}

// with gives the fields of a request with another value for one of them.
func with(name, value string) []string {
	f := get()
	for i := 0; i < len(f); i += 2 {
		if f[i] == name {
			f[i+1] = value
		}
	}
	return f
}

// part sends HEADERS without END_HEADERS on stream 1, and gives what is missing.
func part(r *raw) []byte {
	b := r.encode(get()...)
	r.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, b[:1])
	return b[1:]
}

const (
	endHeaders = http2.FlagHeadersEndHeaders
	endStream  = http2.FlagHeadersEndStream
)

var conformance = []conformanceCase{
	// 4: frames.
	{"4.1", "frame of an unknown type", func(r *raw) {
		r.frame(0x16, 0xff, 0, []byte("what"))
		r.headers(1, true, get()...)
	}, served},
	{"4.1", "frame of an unknown type on a stream", func(r *raw) {
		open(r)
		r.frame(0x16, 0xff, 1, []byte("what"))
		r.data(1, true, "")
	}, served},
	{"4.1", "undefined flags", func(r *raw) {
		r.frame(http2.FramePing, 0xf6, 0, make([]byte, 8))
		r.headers(1, true, get()...)
	}, served},
	{"4.1", "reserved bit", func(r *raw) {
		b := r.encode(get()...)
		frame := append([]byte{0, 0, byte(len(b)), 1, byte(endHeaders | endStream), 0x80, 0, 0, 1}, b...)
		r.write(frame)
	}, served},
	{"4.2", "DATA of the largest size", func(r *raw) {
		open(r)
		r.data(1, true, strings.Repeat("x", 1<<14))
	}, served.withBody("xxx")},
	{"4.2", "DATA larger than that", func(r *raw) {
		open(r)
		r.data(1, true, strings.Repeat("x", 1<<14+1))
	}, either(sizeError)},
	{"4.2", "HEADERS larger than that", func(r *raw) {
		r.frame(http2.FrameHeaders, endHeaders|endStream, 1, make([]byte, 1<<14+1))
	}, connError(sizeError)},
	{"4.2", "unknown frame larger than that", raw0(0x16, 0, 0, strings.Repeat("x", 1<<14+1)), connError(sizeError)},
	{"4.3", "header block that cannot be decoded", blockOf(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), connError(compression)},
	{"4.3", "PRIORITY within a header block", func(r *raw) {
		part(r)
		r.frame(http2.FramePriority, 0, 3, make([]byte, 5))
	}, connError(protocolError)},
	{"4.3", "HEADERS of another stream within a header block", func(r *raw) {
		part(r)
		r.headers(3, true, get()...)
	}, connError(protocolError)},
	{"4.3", "header block of two parts", func(r *raw) {
		rest := part(r)
		r.frame(http2.FrameContinuation, endHeaders, 1, rest)
	}, served},

	// 5: streams.
	{"5.1", "idle: DATA", raw0(http2.FrameData, endStream, 1, "x"), connError(protocolError)},
	{"5.1", "idle: RST_STREAM", raw0(http2.FrameRSTStream, 0, 1, number(8)), connError(protocolError)},
	{"5.1", "idle: WINDOW_UPDATE", raw0(http2.FrameWindowUpdate, 0, 1, number(100)), connError(protocolError)},
	{"5.1", "idle: CONTINUATION", raw0(http2.FrameContinuation, endHeaders, 1, ""), connError(protocolError)},
	{"5.1", "idle: PRIORITY", func(r *raw) {
		r.frame(http2.FramePriority, 0, 5, make([]byte, 5))
		r.headers(1, true, get()...)
	}, served},
	{"5.1", "half-closed: DATA", func(r *raw) {
		r.headers(1, true, slow...)
		r.data(1, true, "x")
	}, either(streamClosed)},
	{"5.1", "half-closed: HEADERS", func(r *raw) {
		r.headers(1, true, slow...)
		r.headers(1, true, "x", "y")
	}, either(streamClosed)},
	{"5.1", "half-closed: CONTINUATION", func(r *raw) {
		r.headers(1, true, slow...)
		r.frame(http2.FrameContinuation, endHeaders, 1, nil)
	}, connError(protocolError)},
	{"5.1", "half-closed: WINDOW_UPDATE and PRIORITY", func(r *raw) {
		r.headers(1, true, get()...)
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(1000)))
		r.frame(http2.FramePriority, 0, 1, make([]byte, 5))
	}, served},
	{"5.1", "closed by RST_STREAM: DATA", func(r *raw) {
		open(r)
		r.check(r.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		r.data(1, true, "x")
	}, either(streamClosed)},
	{"5.1", "closed by RST_STREAM: HEADERS", func(r *raw) {
		open(r)
		r.check(r.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		r.headers(1, true, "x", "y")
	}, either(streamClosed)},
	{"5.1", "closed: DATA", func(r *raw) {
		r.headers(1, true, get()...)
		r.wantOK(1)
		r.data(1, true, "x")
	}, either(streamClosed)},
	{"5.1", "closed: HEADERS", func(r *raw) {
		r.headers(1, true, get()...)
		r.wantOK(1)
		r.headers(1, true, "x", "y")
	}, connError(streamClosed)},
	{"5.1", "closed: WINDOW_UPDATE, RST_STREAM and PRIORITY", func(r *raw) {
		r.headers(1, true, get()...)
		r.wantOK(1)
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(1000)))
		r.frame(http2.FrameRSTStream, 0, 1, []byte(number(8)))
		r.frame(http2.FramePriority, 0, 1, make([]byte, 5))
		r.headers(3, true, get()...)
	}, served.on(3)},
	{"5.1.1", "even stream", func(r *raw) { r.headers(2, true, get()...) }, connError(protocolError)},
	{"5.1.1", "stream below the last", func(r *raw) {
		r.headers(5, true, get()...)
		r.headers(3, true, get()...)
	}, connError(protocolError)},
	{"5.1.1", "DATA on a stream that was skipped", func(r *raw) {
		r.headers(5, true, get()...)
		r.data(3, true, "x")
	}, either(streamClosed, protocolError).on(3)},
	{"5.1.2", "more streams than allowed", func(r *raw) {
		for id := uint32(1); id <= 2*streamsHere+1; id += 2 {
			r.headers(id, true, slow...)
		}
	}, streamError(http2.ErrCodeRefusedStream, protocolError).on(2*streamsHere + 1)},
	{"5.3 of RFC 7540", "HEADERS of a stream that depends on itself", func(r *raw) {
		r.check(r.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: r.encode(get()...),
			Priority: http2.PriorityParam{StreamDep: 1, Weight: 1},
		}))
	}, streamError(protocolError)},
	{"5.3 of RFC 7540", "PRIORITY of a stream that depends on itself", opened(http2.FramePriority, 0, 1, number(1)+"x"), either(protocolError)},
	{"5.5", "unknown frame within a header block", func(r *raw) {
		part(r)
		r.frame(0x16, 0, 0, nil)
	}, connError(protocolError)},

	// 6.1: DATA.
	{"6.1", "on stream 0", raw0(http2.FrameData, 0, 0, "x"), connError(protocolError)},
	{"6.1", "padding", opened(http2.FrameData, http2.FlagDataPadded|endStream, 1, "\x03body\x00\x00\x00"), served.withBody("hellobody")},
	{"6.1", "padding alone", opened(http2.FrameData, http2.FlagDataPadded|endStream, 1, "\x03\x00\x00\x00"), served.withBody("hello")},
	{"6.1", "padding longer than the frame", opened(http2.FrameData, http2.FlagDataPadded|endStream, 1, "\x05body"), connError(protocolError)},
	{"6.1", "padding without its length", opened(http2.FrameData, http2.FlagDataPadded|endStream, 1, ""), either(sizeError, protocolError)},
	{"6.1", "empty DATA ends the stream", opened(http2.FrameData, endStream, 1, ""), served},

	// 6.2: HEADERS.
	{"6.2", "on stream 0", raw0(http2.FrameHeaders, endHeaders|endStream, 0, "\x82"), connError(protocolError)},
	{"6.2", "padding and priority", func(r *raw) {
		b := append([]byte{4, 0, 0, 0, 0, 16}, r.encode(get()...)...)
		r.frame(http2.FrameHeaders, endHeaders|endStream|http2.FlagHeadersPadded|http2.FlagHeadersPriority, 1, append(b, 0, 0, 0, 0))
	}, served},
	{"6.2", "padding longer than the frame", raw0(http2.FrameHeaders, endHeaders|endStream|http2.FlagHeadersPadded, 1, "\xff\x82"), either(protocolError)},
	{"6.2", "priority cut off", raw0(http2.FrameHeaders, endHeaders|endStream|http2.FlagHeadersPriority, 1, "\x00\x00"), either(sizeError, protocolError)},

	// 6.3 and 6.4: PRIORITY, RST_STREAM.
	{"6.3", "on stream 0", raw0(http2.FramePriority, 0, 0, "\x00\x00\x00\x00\x00"), connError(protocolError)},
	{"6.3", "of a wrong length", opened(http2.FramePriority, 0, 1, "\x00\x00\x00\x00"), either(sizeError)},
	{"6.4", "on stream 0", raw0(http2.FrameRSTStream, 0, 0, number(8)), connError(protocolError)},
	{"6.4", "of a wrong length", opened(http2.FrameRSTStream, 0, 1, "\x00\x00\x00"), connError(sizeError)},
	{"6.4", "on an even stream", raw0(http2.FrameRSTStream, 0, 2, number(8)), connError(protocolError)},

	// 6.5: SETTINGS.
	{"6.5", "acknowledgement with a payload", raw0(http2.FrameSettings, http2.FlagSettingsAck, 0, "\x00"), connError(sizeError)},
	{"6.5", "on a stream", raw0(http2.FrameSettings, 0, 1, setting(3, 100)), connError(protocolError)},
	{"6.5", "of a wrong length", raw0(http2.FrameSettings, 0, 0, "\x00\x03\x00"), connError(sizeError)},
	{"6.5", "empty", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, nil)
		r.headers(1, true, get()...)
	}, served},
	{"6.5.2", "ENABLE_PUSH of 2", raw0(http2.FrameSettings, 0, 0, setting(http2.SettingEnablePush, 2)), connError(protocolError)},
	{"6.5.2", "INITIAL_WINDOW_SIZE too large", raw0(http2.FrameSettings, 0, 0, setting(http2.SettingInitialWindowSize, 1<<31)), connError(flowError)},
	{"6.5.2", "MAX_FRAME_SIZE too small", raw0(http2.FrameSettings, 0, 0, setting(http2.SettingMaxFrameSize, 1<<14-1)), connError(protocolError)},
	{"6.5.2", "MAX_FRAME_SIZE too large", raw0(http2.FrameSettings, 0, 0, setting(http2.SettingMaxFrameSize, 1<<24)), connError(protocolError)},
	{"6.5.2", "unknown setting", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(0xff, 1)))
		r.headers(1, true, get()...)
	}, served},
	{"6.5.3", "the last of equal settings counts", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 100)+setting(http2.SettingInitialWindowSize, 1)))
		r.headers(1, true, get()...)
		r.wantData(1, "h")
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(1000)))
	}, want{body: "ello", status: ""}.rest()},
	{"6.5.3", "acknowledged", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, nil)
		for {
			if f, ok := r.read().(*http2.SettingsFrame); ok && f.IsAck() {
				break
			}
		}
		r.headers(1, true, get()...)
	}, served},

	// 6.6 to 6.8: PUSH_PROMISE, PING, GOAWAY.
	{"6.6", "by a client", opened(http2.FramePushPromise, endHeaders, 1, number(2)+"\x82"), connError(protocolError)},
	{"6.7", "answered", func(r *raw) {
		r.check(r.framer.WritePing(false, [8]byte{'b', 'r', 'a', 'i', 'd'}))
		for {
			if f, ok := r.read().(*http2.PingFrame); ok {
				if !f.IsAck() || string(f.Data[:5]) != "braid" {
					r.t.Errorf("got %v", f)
				}
				break
			}
		}
		r.headers(1, true, get()...)
	}, served},
	{"6.7", "an answer is not answered", func(r *raw) {
		r.check(r.framer.WritePing(true, [8]byte{1}))
		r.check(r.framer.WritePing(false, [8]byte{2}))
		for {
			if f, ok := r.read().(*http2.PingFrame); ok {
				if f.Data[0] != 2 {
					r.t.Errorf("got %v", f)
				}
				break
			}
		}
		r.headers(1, true, get()...)
	}, served},
	{"6.7", "on a stream", raw0(http2.FramePing, 0, 1, "12345678"), connError(protocolError)},
	{"6.7", "of a wrong length", raw0(http2.FramePing, 0, 0, "123456"), connError(sizeError)},
	{"6.8", "on a stream", raw0(http2.FrameGoAway, 0, 1, number(0)+number(0)), connError(protocolError)},
	{"6.8", "too short", raw0(http2.FrameGoAway, 0, 0, number(0)), connError(sizeError, protocolError)},
	{"6.8", "streams that are open are served", func(r *raw) {
		r.headers(1, false, post()...)
		r.frame(http2.FrameGoAway, 0, 0, []byte(number(0)+number(0)))
		r.data(1, true, "")
	}, served},

	// 6.9: WINDOW_UPDATE.
	{"6.9", "of nothing, for the connection", raw0(http2.FrameWindowUpdate, 0, 0, number(0)), connError(protocolError)},
	{"6.9", "of nothing, for a stream", opened(http2.FrameWindowUpdate, 0, 1, number(0)), streamError(protocolError)},
	{"6.9", "of a wrong length", raw0(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x01"), connError(sizeError)},
	{"6.9", "reserved bit", func(r *raw) {
		r.frame(http2.FrameWindowUpdate, 0, 0, []byte(number(1<<31|100)))
		r.headers(1, true, get()...)
	}, served},
	{"6.9.1", "window of the connection too large", func(r *raw) {
		r.frame(http2.FrameWindowUpdate, 0, 0, []byte(number(1<<31-1)))
	}, connError(flowError)},
	{"6.9.1", "window of a stream too large", opened(http2.FrameWindowUpdate, 0, 1, number(1<<31-1)), streamError(flowError)},
	{"6.9.1", "more DATA than the stream's window", func(r *raw) {
		r.headers(1, false, stalled...)
		for range streamWindow/(1<<14) + 2 {
			r.data(1, false, strings.Repeat("x", 1<<14))
		}
	}, either(flowError)},
	{"6.9.1", "more DATA than the connection's window", func(r *raw) {
		for id := uint32(1); id < 20; id += 2 {
			r.headers(id, false, stalled...)
		}
		for id := uint32(1); id < 20; id += 2 {
			for range streamWindow / (1 << 14) {
				if r.framer.WriteData(id, false, make([]byte, 1<<14)) != nil {
					return
				}
			}
		}
	}, connError(flowError).on(21)},
	{"6.9.2", "change of the initial window applies to open streams", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 0)))
		r.headers(1, true, get()...)
		r.wantHeaders(1)
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 2)))
		r.wantData(1, "he")
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 100)))
	}, want{body: "llo"}.rest()},
	{"6.9.2", "window below zero", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 3)))
		r.headers(1, true, get()...)
		r.wantData(1, "hel")
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 0)))
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(2)))
		r.ping()
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(2)))
		r.wantData(1, "l")
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(2)))
	}, want{body: "o"}.rest()},
	{"6.9.2", "initial window that makes a stream's too large", func(r *raw) {
		r.headers(1, true, slow...)
		r.frame(http2.FrameWindowUpdate, 0, 1, []byte(number(1<<30)))
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingInitialWindowSize, 1<<31-1)))
	}, connError(flowError)},

	// 6.10: CONTINUATION.
	{"6.10", "several", func(r *raw) {
		rest := part(r)
		for len(rest) > 1 {
			r.frame(http2.FrameContinuation, 0, 1, rest[:1])
			rest = rest[1:]
		}
		r.frame(http2.FrameContinuation, endHeaders, 1, rest)
	}, served},
	{"6.10", "empty last one", func(r *raw) {
		rest := part(r)
		r.frame(http2.FrameContinuation, 0, 1, rest)
		r.frame(http2.FrameContinuation, endHeaders, 1, nil)
	}, served},
	{"6.10", "on stream 0", func(r *raw) {
		rest := part(r)
		r.frame(http2.FrameContinuation, endHeaders, 0, rest)
	}, connError(protocolError)},
	{"6.10", "on another stream", func(r *raw) {
		rest := part(r)
		r.frame(http2.FrameContinuation, endHeaders, 3, rest)
	}, connError(protocolError)},
	{"6.10", "after the end of the header block", func(r *raw) {
		open(r)
		r.frame(http2.FrameContinuation, endHeaders, 1, nil)
	}, connError(protocolError)},
	{"6.10", "after DATA", func(r *raw) {
		open(r)
		r.data(1, false, "x")
		r.frame(http2.FrameContinuation, endHeaders, 1, nil)
	}, connError(protocolError)},

	// 7: error codes.
	{"7", "unknown error code in GOAWAY", func(r *raw) {
		r.frame(http2.FrameGoAway, 0, 0, []byte(number(0)+number(0xff)))
		r.headers(1, true, get()...)
	}, served},
	{"7", "unknown error code in RST_STREAM", func(r *raw) {
		open(r)
		r.frame(http2.FrameRSTStream, 0, 1, []byte(number(0xff)))
		r.headers(3, true, get()...)
	}, served.on(3)},

	// 8.1: messages.
	{"8.1", "second header block that does not end the stream", func(r *raw) {
		open(r)
		r.headers(1, false, "x", "y")
	}, streamError(protocolError)},
	{"8.1", "trailers", func(r *raw) {
		open(r)
		r.data(1, false, "body")
		r.headers(1, true, "x", "y")
	}, served.withBody("hellobody")},
	{"8.1", "trailers without a body", func(r *raw) {
		open(r)
		r.headers(1, true, "x", "y")
	}, served},
	{"8.1", "pseudo-header field in trailers", func(r *raw) {
		open(r)
		r.headers(1, true, ":path", "/")
	}, streamError(protocolError)},
	{"8.1", "upper-case name in trailers", func(r *raw) {
		open(r)
		r.headers(1, true, "X", "y")
	}, streamError(protocolError)},
	{"8.1", "line end in trailers", func(r *raw) {
		open(r)
		r.headers(1, true, "x", "y\r\n\r\nGET /evil HTTP/1.1")
	}, streamError(protocolError)},
	{"8.1.1", "less DATA than Content-Length", func(r *raw) {
		r.headers(1, false, post("content-length", "10")...)
		r.data(1, true, "x")
	}, streamError(protocolError)},
	{"8.1.1", "more DATA than Content-Length", func(r *raw) {
		r.headers(1, false, post("content-length", "1")...)
		r.data(1, true, "xx")
	}, streamError(protocolError)},
	{"8.1.1", "more DATA than Content-Length, in pieces", func(r *raw) {
		r.headers(1, false, post("content-length", "10")...)
		r.data(1, false, "0123456789")
		r.data(1, true, "GET /evil HTTP/1.1\r\n\r\n")
	}, want{status: "200", body: "hello0123456789", stream: []http2.ErrCode{protocolError}}}, // it may have been answered
	{"8.1.1", "Content-Length and no DATA", request(post("content-length", "10")...), streamError(protocolError)},
	{"8.1.1", "Content-Length and trailers alone", func(r *raw) {
		r.headers(1, false, post("content-length", "10")...)
		r.headers(1, true, "x", "y")
	}, streamError(protocolError)},
	{"8.1.1", "as much DATA as Content-Length", func(r *raw) {
		r.headers(1, false, post("content-length", "4")...)
		r.data(1, false, "bo")
		r.data(1, false, "dy")
		r.data(1, true, "")
	}, served.withBody("hellobody")},
	malformed("8.1.1", "Content-Length that is none", post("content-length", "1x")...),
	malformed("8.1.1", "Content-Length with a sign", post("content-length", "+0")...),
	malformed("8.1.1", "empty Content-Length", post("content-length", "")...),
	malformed("8.1.1", "huge Content-Length", post("content-length", strings.Repeat("9", 30))...),
	malformed("8.1.1", "two Content-Lengths", post("content-length", "0", "content-length", "0")...),

	// 8.2: fields.
	malformed("8.2", "upper-case name", get("X-Test", "a")...),
	malformed("8.2.1", "empty name", get("", "a")...),
	malformed("8.2.1", "space in a name", get("a b", "a")...),
	malformed("8.2.1", "colon in a name", get("a:b", "a")...),
	malformed("8.2.1", "line end in a name", get("a\r\nb", "a")...),
	malformed("8.2.1", "NUL in a name", get("a\x00b", "a")...),
	malformed("8.2.1", "letter beyond ASCII in a name", get("a\xc3\xa4", "a")...),
	malformed("8.2.1", "CR LF in a value", get("a", "b\r\nc: d")...),
	malformed("8.2.1", "LF in a value", get("a", "b\nc: d")...),
	malformed("8.2.1", "CR in a value", get("a", "b\rc: d")...),
	malformed("8.2.1", "NUL in a value", get("a", "b\x00c")...),
	malformed("8.2.1", "space before a value", get("a", " b")...),
	malformed("8.2.1", "tab behind a value", get("a", "b\t")...),
	malformed("8.2.1", "line end in a cookie", get("cookie", "a=b\r\nx: y")...),
	fine("8.2.1", "space and tab within a value", get("a", "b c\td")...),
	fine("8.2.1", "letter beyond ASCII in a value", get("a", "\xc3\xa4")...),
	{"8.2.1", "control character in a value", request(get("a", "b\x01c")...), want{status: "400"}},
	malformed("8.2.2", "Connection", get("connection", "close")...),
	malformed("8.2.2", "Keep-Alive", get("keep-alive", "timeout=5")...),
	malformed("8.2.2", "Proxy-Connection", get("proxy-connection", "keep-alive")...),
	malformed("8.2.2", "Transfer-Encoding", post("transfer-encoding", "chunked")...),
	malformed("8.2.2", "Upgrade", get("upgrade", "websocket")...),
	malformed("8.2.2", "TE other than trailers", get("te", "trailers, deflate")...),
	fine("8.2.2", "TE: trailers", get("te", "trailers")...),
	fine("8.2.3", "cookies", get("cookie", "a=b", "cookie", "c=d")...),

	// 8.3: pseudo-header fields.
	malformed("8.3", "behind a regular field", []string{":method", "GET", ":scheme", "http", "a", "b", ":path", "/", ":authority", "a"}...),
	malformed("8.3", "unknown", get(":what", "x")...),
	malformed("8.3", "of a response", get(":status", "200")...),
	malformed("8.3.1", "no :method", without(":method")...),
	malformed("8.3.1", "no :scheme", without(":scheme")...),
	malformed("8.3.1", "no :path", without(":path")...),
	malformed("8.3.1", "two :method", get(":method", "GET")...),
	malformed("8.3.1", "two :path", get(":path", "/")...),
	malformed("8.3.1", "two :scheme", get(":scheme", "http")...),
	malformed("8.3.1", "two :authority", get(":authority", "b")...),
	malformed("8.3.1", "empty :path", with(":path", "")...),
	malformed("8.3.1", ":path without slash", with(":path", "x")...),
	malformed("8.3.1", ":path with a scheme", with(":path", "http://evil.test/")...),
	malformed("8.3.1", "space in :path", with(":path", "/ HTTP/1.1\tx")...),
	malformed("8.3.1", "line end in :path", with(":path", "/ HTTP/1.1\r\nx: y\r\n\r\n")...),
	malformed("8.3.1", ":path * of GET", with(":path", "*")...),
	malformed("8.3.1", "empty :method", with(":method", "")...),
	malformed("8.3.1", "space in :method", with(":method", "GET /evil HTTP/1.1\r\nx:")...),
	malformed("8.3.1", "colon in :method", with(":method", "G:T")...),
	malformed("8.3.1", "empty :scheme", with(":scheme", "")...),
	malformed("8.3.1", "empty :authority", with(":authority", "")...),
	malformed("8.3.1", "line end in :authority", with(":authority", "a\r\nx: y")...),
	malformed("8.3.1", "space in :authority", with(":authority", "a b")...),
	malformed("8.3.1", "Host that differs", get("host", "evil.test")...),
	malformed("8.3.1", "two Hosts", append(without(":authority"), "host", "a", "host", "b")...),
	malformed("8.3.1", "line end in Host", append(without(":authority"), "host", "a\r\nx: y")...),
	{"8.3.1", "no authority at all", request(without(":authority")...), want{status: "400"}},
	{"8.3.1", "user information in :authority", request(with(":authority", "u:p@a")...), want{status: "400"}},
	{"8.3.1", "path in :authority", request(with(":authority", "a/b")...), want{status: "400"}},
	{"8.3.1", "Host that is none", request(append(without(":authority"), "host", "a b")...), want{status: "400"}},
	fine("8.3.1", "Host alone", append(without(":authority"), "host", "a.test")...),
	fine("8.3.1", ":authority with a port", with(":authority", "a.test:8080")...),
	fine("8.3.1", ":authority of IPv6", with(":authority", "[::1]:80")...),
	fine("8.3.1", "another scheme", with(":scheme", "https")...),

	// 8.5: CONNECT.
	malformed("8.5", "CONNECT with :path", ":method", "CONNECT", ":authority", "a:1", ":path", "/"),
	malformed("8.5", "CONNECT with :scheme", ":method", "CONNECT", ":authority", "a:1", ":scheme", "http"),
	malformed("8.5", "CONNECT without :authority", ":method", "CONNECT"),
	malformed("8.5", "CONNECT with Content-Length", ":method", "CONNECT", ":authority", "a:1", "content-length", "5"),
	{"8.5", "CONNECT without a port", request(":method", "CONNECT", ":authority", "a"), want{status: "400"}},
	malformed("4 of RFC 8441", ":protocol without CONNECT", get(":protocol", "websocket")...),
	malformed("4 of RFC 8441", ":protocol without :path", ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a"),
	malformed("4 of RFC 8441", "empty :protocol", ":method", "CONNECT", ":protocol", "", ":scheme", "http", ":path", "/", ":authority", "a"),
	malformed("4 of RFC 8441", "line end in :protocol", ":method", "CONNECT", ":protocol", "a\r\nb", ":scheme", "http", ":path", "/", ":authority", "a"),
	malformed("4 of RFC 8441", "comma in :protocol", ":method", "CONNECT", ":protocol", "a,b", ":scheme", "http", ":path", "/", ":authority", "a"),

	// RFC 7541.
	{"2.3.3 of RFC 7541", "index beyond the tables", blockOf(0x82, 0x87, 0x84, 0xff, 0x7f), connError(compression)},
	{"6.1 of RFC 7541", "index 0", blockOf(0x82, 0x86, 0x84, 0x80), connError(compression)},
	{"4.2 of RFC 7541", "table larger than allowed", blockOf(0x3f, 0xe2, 0x1f, 0x82), connError(compression)},
	{"4.2 of RFC 7541", "size of the table behind a field", blockOf(0x82, 0x86, 0x84, 0x41, 0x01, 'a', 0x20), connError(compression)},
	{"5.1 of RFC 7541", "integer without an end", blockOf(0x82, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), connError(compression)},
	{"5.2 of RFC 7541", "string cut off", blockOf(0x82, 0x86, 0x84, 0x40, 0x05, 'a'), connError(compression)},
	{"5.2 of RFC 7541", "Huffman padding of zeros", blockOf(0x82, 0x86, 0x84, 0x41, 0x81, 0x18), connError(compression)},
	{"5.2 of RFC 7541", "Huffman padding of more than seven bits", blockOf(0x82, 0x86, 0x84, 0x41, 0x83, 0x1c, 0xff, 0xff), connError(compression)},
	{"5.2 of RFC 7541", "end of string within a string", blockOf(0x82, 0x86, 0x84, 0x41, 0x84, 0xff, 0xff, 0xff, 0xff), connError(compression)},
	{"4.3 of RFC 7541", "client without a table", func(r *raw) {
		r.frame(http2.FrameSettings, 0, 0, []byte(setting(http2.SettingHeaderTableSize, 0)))
		r.decoder.SetMaxDynamicTableSize(0)
		r.decoder.SetAllowedMaxDynamicTableSize(0)
		for id := uint32(1); id < 9; id += 2 {
			r.headers(id, true, get()...)
			r.wantOK(id)
		}
		r.headers(9, true, get()...)
	}, served.on(9)},

	// 10.5: limits.
	{"10.5.1", "fields longer than allowed", request(get("a", strings.Repeat("x", 20000))...), want{status: "431"}},
	{"10.5.1", "fields longer than allowed, with a body", func(r *raw) {
		r.headers(1, false, post("a", strings.Repeat("x", 20000))...)
		r.data(1, true, "body")
	}, want{status: "431"}},
	{"10.5.1", "too many fields", request(get(slices.Repeat([]string{"a", "b"}, 200)...)...), want{status: "431"}},
	{"10.5.1", ":path longer than allowed", request(with(":path", "/"+strings.Repeat("x", 9000))...), want{status: "414"}},
	{"10.5.1", ":path longer than all else", request(with(":path", "/"+strings.Repeat("x", 60000))...), want{status: "414"}},
}

// streamsHere is how many streams the proxy of the cases allows.
const streamsHere = 12

// slow are requests that are not answered for a while.
var (
	slow    = with(":path", "/slow")
	stalled = append([]string{":method", "POST"}, with(":path", "/stalled")[2:]...) // nobody reads the body
)

func (w want) withBody(s string) want {
	w.body = s
	return w
}

// rest wants the rest of a response of which the head was read.
func (w want) rest() want {
	w.status = "rest"
	return w
}

// wantHeaders reads up to the head of the response on a stream.
func (r *raw) wantHeaders(id uint32) {
	r.t.Helper()
	for {
		if f, ok := r.read().(*http2.HeadersFrame); ok {
			r.decode(f)
			if f.StreamID == id {
				return
			}
		}
	}
}

// wantData reads the next DATA of a stream.
func (r *raw) wantData(id uint32, want string) {
	r.t.Helper()
	for {
		switch f := r.read().(type) {
		case *http2.HeadersFrame:
			r.decode(f)
		case *http2.DataFrame:
			if f.StreamID != id || string(f.Data()) != want || f.StreamEnded() {
				r.t.Fatalf("got %v %q, want %q", f, f.Data(), want)
			}
			return
		}
	}
}

// ping sees to it that the server has dealt with all there was, and sent
// nothing but the answer.
func (r *raw) ping() {
	r.t.Helper()
	r.check(r.framer.WritePing(false, [8]byte{7}))
	for {
		switch f := r.read().(type) {
		case *http2.PingFrame:
			return
		case *http2.DataFrame:
			r.t.Fatalf("got %v", f)
		}
	}
}

func TestConformance(t *testing.T) {
	release := make(chan struct{})
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		hello(w, r)
	}), func(s *http1.Settings, c *Config) {
		c.MaxStreams = streamsHere
		route := s.Route
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			if string(x.Request.Path()) == "/stalled" {
				<-x.Context().Done()
			}
			return route(x)
		}
	})
	defer close(release)
	if len(conformance) < 80 {
		t.Errorf("only %d cases", len(conformance))
	}
	for _, tt := range conformance {
		t.Run(tt.section+" "+tt.name, func(t *testing.T) {
			r := greet(t, p.addr)
			tt.do(r)
			if tt.want.status == "rest" {
				if got := r.response(1); got.body != tt.want.body || got.reset != nil || got.closed {
					t.Errorf("got %v, want %q", got, tt.want.body)
				}
				return
			}
			tt.want.check(t, r)
			r.c.Close()
		})
	}
	p.quiet(t)
}

// TestPrefaces begins connections in wrong ways (RFC 9113 section 3.4).
func TestPrefaces(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for _, tt := range []struct{ name, send string }{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n1234"},
		{"something else", strings.Repeat("\x00", 24)},
		{"no SETTINGS", http2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"},
		{"an acknowledgement first", http2.ClientPreface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00"},
		{"the preface twice", http2.ClientPreface + http2.ClientPreface + settings},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := dial(t, p.addr)
			r.write([]byte(tt.send))
			got := r.response(1)
			if got.goAway == nil || *got.goAway != protocolError && *got.goAway != sizeError {
				t.Errorf("got %v", got)
			}
			if end := r.response(0); !end.closed {
				t.Errorf("then %v", end)
			}
		})
	}
	t.Run("slowly", func(t *testing.T) {
		r := dial(t, p.addr)
		for _, b := range []byte(http2.ClientPreface + settings) {
			r.write([]byte{b})
		}
		r.headers(1, true, get()...)
		r.wantOK(1)
	})
}

// TestOneByteAtATime has frames come in as many pieces as they have bytes.
func TestOneByteAtATime(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	var all bytes.Buffer
	all.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&all, nil)
	f.WriteSettings()
	r := dial(t, p.addr)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: r.encode(post()...)})
	f.WriteData(1, false, []byte("bo"))
	f.WriteData(1, true, []byte("dy"))
	for _, b := range all.Bytes() {
		r.write([]byte{b})
		time.Sleep(50 * time.Microsecond)
	}
	if got := r.response(1); got.body != "hellobody" {
		t.Errorf("got %v", got)
	}
}

// TestGreeting looks at what the server says first.
func TestGreeting(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(_ *http1.Settings, c *Config) { c.MaxStreams = 77 })
	r := dial(t, p.addr)
	s, ok := r.read().(*http2.SettingsFrame)
	if !ok {
		t.Fatal("not SETTINGS")
	}
	got := make(map[http2.SettingID]uint32)
	s.ForeachSetting(func(s http2.Setting) error {
		got[s.ID] = s.Val
		return s.Valid()
	})
	want := map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams:  77,
		http2.SettingInitialWindowSize:     streamWindow,
		http2.SettingMaxHeaderListSize:     http1.DefaultHead,
		http2.SettingEnableConnectProtocol: 1,
		http2.SettingNoRFC7540Priorities:   1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
