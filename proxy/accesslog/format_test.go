package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/status"
)

// sample is a Record with something in every field.
func sample() *Record {
	return &Record{
		Time: time.Date(2026, 3, 4, 5, 6, 7, 8900e3, time.UTC), Listener: "web", Route: "api", Pool: "app", Backend: "app-1",
		Protocol: "HTTP/2.0", Scheme: "https", Method: []byte("GET"), Host: []byte("example.org"), Target: []byte("/a?b=c"),
		UserAgent: []byte("curl/8"), Referer: []byte("https://example.org/"), RequestID: []byte("r1"), User: []byte("ann"),
		Status: 200, BytesIn: 120, BytesOut: 5300, Body: 5000,
		Head: time.Millisecond, Connected: 3 * time.Millisecond, Answered: 13 * time.Millisecond, Total: 1250 * time.Millisecond,
		Reused: true, Retried: true, Err: errors.New("response ended early"),
		Conn: Connection{
			ID: 7, Client: netip.MustParseAddrPort("192.0.2.7:40000"), Local: netip.MustParseAddrPort("198.51.100.1:443"),
			TLSVersion: "TLS 1.3", ServerName: "example.org", Requests: 2, BytesIn: 300, BytesOut: 9000, Multipath: true,
			Paths: []status.Path{
				{Local: netip.MustParseAddrPort("198.51.100.1:443"), Remote: netip.MustParseAddrPort("192.0.2.7:40000"), Interface: "eth0",
					Up: true, BytesIn: 200, BytesOut: 6000, Retransmitted: 10, RTT: 20 * time.Millisecond},
				{Local: netip.MustParseAddrPort("[2001:db8::1]:443"), Remote: netip.MustParseAddrPort("[2001:db8::7]:40001"), Backup: true,
					BytesIn: 100, BytesOut: 3000},
			},
		},
	}
}

func lineOf(format config.AccessFormat, r *Record) string {
	l := &Log{format: format}
	return string(l.append(nil, r))
}

// inUTC has local times in UTC for the rest of the test.
func inUTC(t *testing.T) {
	old := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = old })
}

func TestFormats(t *testing.T) {
	inUTC(t)
	const common = `192.0.2.7 - ann [04/Mar/2026:05:06:07 +0000] "GET /a?b=c HTTP/2.0" 200 5000`
	const combined = common + ` "https://example.org/" "curl/8"`
	plain := sample()
	plain.Conn.Multipath, plain.Conn.Fallback, plain.Conn.Paths = false, "not_offered", plain.Conn.Paths[:1]
	nothing := &Record{Time: sample().Time}
	tunnel := &Record{Time: sample().Time, Protocol: "tcp", Target: []byte("db.example.org"), Status: 200, Conn: Connection{Client: sample().Conn.Client}}
	for _, test := range []struct {
		name   string
		format config.AccessFormat
		record *Record
		want   string
	}{
		{"common", config.AccessCommon, sample(), common},
		{"combined", config.AccessCombined, sample(), combined},
		{"multipath", config.AccessMultipath, sample(), combined + ` "mptcp eth0=200/6000 2001:db8::1=100/3000"`},
		{"multipath, plain", config.AccessMultipath, plain, combined + ` "tcp not_offered eth0=200/6000"`},
		{"nothing", config.AccessMultipath, nothing, `- - - [04/Mar/2026:05:06:07 +0000] "-" 000 - "-" "-" "tcp"`},
		{"mode tcp", config.AccessCommon, tunnel, `192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "db.example.org" 200 -`},
		{"json", config.AccessJSON, sample(), `{"time":"2026-03-04T05:06:07.008900Z","client":"192.0.2.7:40000","listener":"web",` +
			`"protocol":"HTTP/2.0","scheme":"https","method":"GET","host":"example.org","target":"/a?b=c","status":200,"bytes_in":120,` +
			`"bytes_out":5300,"body_bytes":5000,"duration_seconds":1.25,"head_seconds":0.001,"server_seconds":0.002,"wait_seconds":0.01,` +
			`"route":"api","pool":"app","backend":"app-1","server_reused":true,"retried":true,"error":"response ended early","user":"ann",` +
			`"user_agent":"curl/8","referer":"https://example.org/","request_id":"r1","connection":{"id":7,"local":"198.51.100.1:443",` +
			`"tls":"TLS 1.3","server_name":"example.org","requests":2,"bytes_in":300,"bytes_out":9000,"multipath":true,"subflows":[` +
			`{"local":"198.51.100.1:443","remote":"192.0.2.7:40000","interface":"eth0","up":true,"bytes_in":200,"bytes_out":6000,` +
			`"retransmitted_bytes":10,"rtt_seconds":0.02},{"local":"[2001:db8::1]:443","remote":"[2001:db8::7]:40001","up":false,` +
			`"backup":true,"bytes_in":100,"bytes_out":3000,"retransmitted_bytes":0,"rtt_seconds":0}]}}`},
		{"json, nothing", config.AccessJSON, nothing, `{"time":"2026-03-04T05:06:07.008900Z","client":"","listener":"","protocol":"",` +
			`"status":0,"bytes_in":0,"bytes_out":0,"body_bytes":0,"duration_seconds":0,"connection":{"id":0,"local":"","requests":0,` +
			`"bytes_in":0,"bytes_out":0,"multipath":false,"subflows":[]}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lineOf(test.format, test.record); got != test.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", -time.Second: "0", time.Microsecond: "0.000001", 999: "0", 1500 * time.Microsecond: "0.0015", time.Second: "1",
		61*time.Second + 20*time.Millisecond: "61.02", 999999 * time.Microsecond: "0.999999",
	} {
		if got := string(seconds(nil, "s", d)); got != `,"s":`+want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// fieldsOf reads a line of the common format and those that begin like it, as a
// reader would who knows the grammar. What is quoted comes back as it was.
var fieldsOf = regexp.MustCompile(`^([0-9a-f.:]+|-) - ([^ "\\]|\\["\\]|\\x[0-9a-f]{2})+ ` +
	`\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\] ` +
	`"((?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*)" ([0-9]{3}) ([0-9]+|-)` +
	`(?: "((?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*)" "((?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*)"(?: "((?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*)")?)?\n$`)

// unquote undoes the escapes.
func unquote(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] < ' ' || s[i] > '~':
			t.Fatalf("%q has a byte that had to be escaped", s)
		case s[i] != '\\':
			b.WriteByte(s[i])
		case s[i+1] == 'x':
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteByte(byte(n))
			i += 3
		default:
			b.WriteByte(s[i+1])
			i++
		}
	}
	return b.String()
}

// checkLines holds every format to its grammar for a record of which a client
// chose these words.
func checkLines(t *testing.T, agent, target, host, name []byte) {
	t.Helper()
	r := sample()
	r.UserAgent, r.Target, r.Host, r.Method, r.Referer, r.User, r.RequestID = agent, target, host, target, host, agent, name
	r.Conn.ServerName, r.Conn.Paths[0].Interface, r.Err = string(name), string(host), errors.New(string(agent))
	r.Conn.Local = netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(string(host)), 80)

	for _, format := range []config.AccessFormat{config.AccessCommon, config.AccessCombined, config.AccessMultipath} {
		line := lineOf(format, r)
		fields := fieldsOf.FindStringSubmatch(line)
		if fields == nil {
			t.Fatalf("%s: no line of its format: %q", format, line)
		}
		if format == config.AccessCommon {
			continue
		}
		if got := unquote(t, fields[7]); len(agent) > 0 && got != string(agent) {
			t.Fatalf("%s: the agent %q became %q", format, agent, got)
		}
		if (fields[8] != "") != (format == config.AccessMultipath) {
			t.Fatalf("%s: last field %q", format, fields[8])
		}
	}

	line := lineOf(config.AccessJSON, r)
	var doc struct {
		UserAgent  string `json:"user_agent"`
		Target     string `json:"target"`
		Host       string `json:"host"`
		Status     int    `json:"status"`
		Connection struct {
			ServerName string `json:"server_name"`
			Subflows   []struct {
				Interface string `json:"interface"`
			} `json:"subflows"`
		} `json:"connection"`
	}
	decode := json.NewDecoder(strings.NewReader(line))
	if err := decode.Decode(&doc); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if decode.More() || strings.Count(line, "\n") != 1 || !utf8.ValidString(line) {
		t.Fatalf("more than a line: %q", line)
	}
	if doc.Status != 200 || len(doc.Connection.Subflows) != 2 {
		t.Fatalf("forged: %q", line)
	}
	for _, pair := range [][2]string{{doc.UserAgent, string(agent)}, {doc.Target, string(target)}, {doc.Host, string(host)},
		{doc.Connection.ServerName, string(name)}, {doc.Connection.Subflows[0].Interface, string(host)}} {
		if want := validated(pair[1]); pair[0] != want {
			t.Fatalf("%q became %q, want %q", pair[1], pair[0], want)
		}
	}
	for _, r := range line[:len(line)-1] {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u202e' {
			t.Fatalf("%q has %U", line, r)
		}
	}
}

// validated replaces each byte that is no UTF-8, as encoding/json does.
func validated(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r) // utf8.RuneError for what is not valid
	}
	return b.String()
}

var nastyWords = []string{
	"", "-", `"`, `\`, `\"`, "\n", "\r\n", `" 200 1`, `","status":500,"x":"`, "\x00", "\x1b[31m", "\x7f", "\xff", "\xc3\x28", "\xe2\x80\xa8",
	"\u2029", "\u202egnp.exe", "\u0085", "a\xf0\x9f\x98\x80b", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\x22`, "é", "\xc0\x80", "] [", "\xe2\x80",
	"127.0.0.1 - - [01/Jan/2000:00:00:00 +0000] \"GET / HTTP/1.1\" 200 -\n",
}

func TestNoForgedLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	pick := func() []byte {
		var b []byte
		for range rng.IntN(6) {
			if rng.IntN(3) == 0 {
				b = append(b, byte(rng.Uint32()))
			} else {
				b = append(b, nastyWords[rng.IntN(len(nastyWords))]...)
			}
		}
		return b
	}
	for _, w := range nastyWords {
		checkLines(t, []byte(w), []byte(w), []byte(w), []byte(w))
	}
	for range 5000 {
		checkLines(t, pick(), pick(), pick(), pick())
	}
}

func FuzzLines(f *testing.F) {
	for _, w := range nastyWords {
		f.Add([]byte(w), []byte(w), []byte("x"), []byte(w+w))
	}
	f.Fuzz(func(t *testing.T, agent, target, host, name []byte) { checkLines(t, agent, target, host, name) })
}

// TestEscapedLikeEncodingJSON reads back every character there is.
func TestEscapedLikeEncodingJSON(t *testing.T) {
	var all bytes.Buffer
	for r := rune(0); r <= utf8.MaxRune; r += 1 + r/5000 {
		all.WriteRune(r)
	}
	line := append(appendEscaped([]byte{'"'}, all.Bytes()), '"')
	var got string
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if got != all.String() {
		t.Error("text did not survive")
	}
}
