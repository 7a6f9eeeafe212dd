package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/link/pcap"
)

// TestTshark has the field's own reader look at a capture: nothing is
// malformed, every checksum is right, and it finds one Multipath TCP
// connection of two subflows.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed; it judges captures")
	}
	name := filepath.Join(t.TempDir(), "demo.pcapng")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	capture := pcap.NewWriter(file)
	cfg := Config{Size: 2 << 20, Paths: quick(), Capture: capture, Plan: changes(t, "wired@50%", "restore wired@+50ms")}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(filter string, fields ...string) []string {
		args := []string{"-r", name, "-Y", filter, "-T", "fields", "-E", "separator=/s",
			"-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}
		for _, f := range fields {
			args = append(args, "-e", f)
		}
		out, err := exec.Command(tshark, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}
	// Status 1 is good; anything else, also not to have looked, is not.
	const bad = `_ws.malformed || _ws.expert.severity == "Error" || tcp.options.mptcp.subtype > 8 || ` +
		`!(tcp.checksum.status == 1) || !(ip.checksum.status == 1) || mptcp.connection.echoed_key_mismatch || ` +
		`mptcp.connection.missing_algorithm || mptcp.connection.unsupported_algorithm || mptcp.dss.infinite_mapping`
	if got := read(bad, "frame.number", "_ws.col.Info"); got[0] != "" {
		t.Errorf("%d packets are bad, the first: %s", len(got), got[0])
	}
	count := make(map[string]int)
	for _, line := range read("mptcp.stream", "frame.interface_name", "mptcp.stream", "tcp.stream") {
		count[line]++
	}
	if count["wired 0 0"] < 500 || count["wireless 0 1"] < 200 || len(count) != 2 {
		t.Errorf("packets by interface, Multipath TCP connection and subflow: %v", count)
	}
	// The key's token, the join's token, and the SHA-256 in the handshake.
	token := read("tcp.flags.syn == 1 && tcp.options.mptcp.recvtok", "tcp.options.mptcp.recvtok")
	want := read("mptcp.expected_token && ip.src == 10.0.1.2", "mptcp.expected_token")
	if token[0] == "" || token[0] != want[0] {
		t.Errorf("joined with token %s, the key makes %s", token[0], want[0])
	}
}
