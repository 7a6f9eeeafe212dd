package get

import (
	"os"
	"testing"
)

// TestNoteIsPrivate: the note beside a partial file has the URL, which may hold
// a password or a token.
func TestNoteIsPrivate(t *testing.T) {
	r := newRig(t)
	r.cut, r.cfg.Retries = []int{300_000, 0}, 0
	r.wantKept(t.Context(), 300_000)
	info, err := os.Stat(r.cfg.Output + ".part.json")
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("others may see it: mode %o", mode)
	}
}
