package kernel

import (
	"errors"
	"net/netip"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Endpoint
		text string // of want; empty: as in
	}{
		{in: "10.0.0.1 dev wlan0 subflow backup id 3",
			want: Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Dev: "wlan0", ID: 3, Flags: FlagSubflow | FlagBackup},
			text: "10.0.0.1 id 3 subflow backup dev wlan0"},
		{in: "fd00::1 port 8443 signal",
			want: Endpoint{Addr: netip.MustParseAddr("fd00::1"), Port: 8443, Flags: FlagSignal}},
		{in: "10.0.0.1 id 255 signal subflow",
			want: Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), ID: 255, Flags: FlagSignal | FlagSubflow}},
		{in: " dev\twlan0  backup ",
			want: Endpoint{Dev: "wlan0", Flags: FlagBackup}, text: "backup dev wlan0"},
		{in: "fullmesh 10.0.0.1 laminar",
			want: Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Flags: FlagFullmesh | FlagLaminar},
			text: "10.0.0.1 laminar fullmesh"},
		{in: "::ffff:10.0.0.1", want: Endpoint{Addr: netip.MustParseAddr("10.0.0.1")}, text: "10.0.0.1"},
		// An interface may have the name of a flag.
		{in: "10.0.0.1 dev backup", want: Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Dev: "backup"}},
	} {
		got, err := ParseEndpoint(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseEndpoint(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
		if tt.text == "" {
			tt.text = tt.in
		}
		if got.String() != tt.text {
			t.Errorf("%q as text: %q, want %q", tt.in, got, tt.text)
		}
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	for _, in := range []string{
		"", "subflow", "10.0.0.1 id", "10.0.0.1 id 0", "10.0.0.1 id 256", "10.0.0.1 id -1",
		"10.0.0.1 id 3 id 4", "10.0.0.1 10.0.0.2", "10.0.0.1 via 10.0.0.2", "10.0.0.1/24",
		"10.0.0.1 port 80", "10.0.0.1 signal port 0", "10.0.0.1 signal port 65536",
		"10.0.0.1 dev", "10.0.0.1 signal fullmesh", "10.0.0.1 implicit", "fe80::1%eth0 subflow",
	} {
		if got, err := ParseEndpoint(in); !errors.Is(err, ErrEndpoint) {
			t.Errorf("ParseEndpoint(%q) = %+v, %v, want %v", in, got, err, ErrEndpoint)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("10.0.0.1 dev wlan0 subflow backup id 3")
	f.Add("fd00::1 port 8443 signal")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s)
		if err != nil {
			return
		}
		again, err := ParseEndpoint(e.String())
		if err != nil || again != e {
			t.Errorf("%q gives %+v, whose text %q gives %+v, %v", s, e, e, again, err)
		}
	})
}

func TestEndpointAttributes(t *testing.T) {
	for _, e := range []Endpoint{
		{Addr: netip.MustParseAddr("10.0.0.1"), ID: 3, Flags: FlagSubflow | FlagBackup},
		{Addr: netip.MustParseAddr("fd00::1"), Port: 8443, Flags: FlagSignal},
		{ID: 7},
	} {
		b, err := encodeEndpoint(e, 42)
		if err != nil {
			t.Fatal(err)
		}
		got, ifIndex, err := decodeEndpoint(b)
		if err != nil || got != e || ifIndex != 42 {
			t.Errorf("got %+v, %d, %v, want %+v, 42", got, ifIndex, err, e)
		}
	}
}

// FuzzDecode shows that no message, however mangled, does harm.
func FuzzDecode(f *testing.F) {
	b, err := encodeEndpoint(Endpoint{Addr: netip.MustParseAddr("fd00::1"), Port: 1, ID: 2, Flags: 3}, 4)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeEndpoint(b)
		decodeLimits(b)
		decodeEvent(1, b)
		decodeInfo(b)
		decodeTCPInfo(b)
		view(b).sockaddr()
		view(b).addrs()
	})
}
