package http2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// sink is a connection that keeps what is written to it.
type sink struct {
	net.Conn
	bytes.Buffer
}

func (s *sink) Read([]byte) (int, error)           { return 0, io.EOF }
func (s *sink) Write(b []byte) (int, error)        { return s.Buffer.Write(b) }
func (s *sink) Close() error                       { return nil }
func (s *sink) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (s *sink) LocalAddr() net.Addr                { return s.RemoteAddr() }
func (s *sink) SetReadDeadline(t time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(t time.Time) error { return nil }

// sent writes a message to a stream in pieces and gives the frames that come of
// it, as text.
func sent(t *testing.T, s *Server, front *http1.Frontend, message string, piece int, fields ...string) (string, error) {
	t.Helper()
	out := &sink{}
	c := newConn(s, out, nil, front, nil)
	c.block.begin(1, forRequest, true)
	for i := 0; i < len(fields); i += 2 {
		c.block.field(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	if fault := c.block.judge(); fault != "" {
		t.Fatal(fault)
	}
	st := newStream(c, &c.block)
	st.window = c.out.initial
	c.streams[1] = st
	c.running++
	var err error
	for rest := []byte(message); len(rest) > 0 && err == nil; {
		n := min(piece, len(rest))
		_, err = st.Write(bytes.Clone(rest[:n]))
		rest = rest[n:]
	}
	st.Close()
	return framesOf(t, &out.Buffer), err
}

// framesOf gives frames as text: fields, then data of one body together.
func framesOf(t *testing.T, b *bytes.Buffer) string {
	t.Helper()
	f := http2.NewFramer(nil, b)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var text strings.Builder
	data := false
	for {
		frame, err := f.ReadFrame()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*http2.DataFrame); ok != data {
			text.WriteByte('|')
			data = ok
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				fmt.Fprintf(&text, "%s=%s ", h.Name, h.Value)
			}
			if f.StreamEnded() {
				text.WriteString("END")
			}
		case *http2.DataFrame:
			text.Write(f.Data())
			if f.StreamEnded() {
				text.WriteString("END")
			}
		case *http2.RSTStreamFrame:
			text.WriteString(f.ErrCode.String())
		}
	}
}

// TestResponses writes messages whole and in pieces of all sizes.
func TestResponses(t *testing.T) {
	e := http1.NewEngine(http1.Config{})
	defer e.Close()
	s := NewServer(Config{Engine: e})
	defer s.Close()
	front := http1.NewFrontend(&http1.Settings{})
	head := with(":method", "HEAD")
	connect := []string{":method", "CONNECT", ":authority", "a:1"}
	for _, tt := range []struct {
		name, message, want string
		fields              []string
		fails               bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: Z\r\n\r\nhello", ":status=200 content-length=5 x-y=Z |helloEND", nil, false},
		{"no body", "HTTP/1.1 204 No\r\n\r\n", ":status=204 END", nil, false},
		{"length of nothing", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ":status=200 content-length=0 END", nil, false},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ":status=200 content-length=5 END", head, false},
		{"not modified", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", ":status=304 content-length=5 END", nil, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n", ":status=200 |hello0123456789END", nil, false},
		{"no chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ":status=200 |END", nil, false},
		{"line ends within chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", ":status=200 |\r\n0\r\n\r\nEND", nil, false},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n1\r\nx\r\n0\r\nSum: 42\r\nConnection: x\r\nMore: y z\r\n\r\n",
			":status=200 trailer=Sum |x|sum=42 more=y z END", nil, false},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			":status=100 :status=103 link=x :status=200 content-length=1 |xEND", nil, false},
		{"tunnel", "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ":status=200 |HTTP/1.1 200 OK\r\n\r\n|CONNECT_ERROR", connect, false},
		{"fields of the connection", "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: x\r\nUpgrade: y\r\nProxy-Connection: z\r\nContent-Length: 0\r\n\r\n",
			":status=200 content-length=0 END", nil, false},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", ":status=200 content-length=5 |hel|INTERNAL_ERROR", nil, false},
		{"cut off in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", ":status=200 |hel|INTERNAL_ERROR", nil, false},
		{"cut off in the head", "HTTP/1.1 200 OK\r\nX: y\r\n", "INTERNAL_ERROR", nil, false},
		{"nothing", "", "INTERNAL_ERROR", nil, false},
		{"more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz", ":status=200 content-length=1 |xEND", nil, true},
		{"more than the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", ":status=200 |END", nil, true},
		{"without a length", "HTTP/1.1 200 OK\r\n\r\nx", "INTERNAL_ERROR", nil, true},
		{"junk", "what is this\r\n\r\n", "INTERNAL_ERROR", nil, true},
		{"chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", ":status=200 INTERNAL_ERROR", nil, true},
		{"chunk size without digits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ":status=200 INTERNAL_ERROR", nil, true},
		{"chunk size too large", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", ":status=200 INTERNAL_ERROR", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.fields == nil {
				tt.fields = get()
			}
			for piece := 1; piece <= len(tt.message)+1; piece++ {
				got, err := sent(t, s, front, tt.message, piece, tt.fields...)
				if got != tt.want || (err != nil) != tt.fails {
					t.Fatalf("in pieces of %d: got %q, %v\nwant %q", piece, got, err, tt.want)
				}
			}
		})
	}
}
