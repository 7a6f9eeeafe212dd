package mptcp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRFC8684Table holds docs/rfc8684.md to the tests there are: every item has
// a row, every test of an item is named in its row and in no other, and a row
// without a test says why.
func TestRFC8684Table(t *testing.T) {
	doc, err := os.ReadFile("../docs/rfc8684.md")
	if err != nil {
		t.Fatal(err)
	}
	inSource := map[string]bool{} // "mptcp: B9_..."
	for _, pkg := range []string{"wire", "mptcp", "stack"} {
		for _, name := range itemTests(t, pkg) {
			inSource[pkg+": "+name] = true
		}
	}
	inDoc := map[string]bool{}
	perSection := map[string]int{}
	row := regexp.MustCompile(`^\| ([A-L])(\d+) \| (.*) \|$`)
	list := regexp.MustCompile("([a-z]+): (`[^`]+`(?:, `[^`]+`)*)")
	for line := range strings.Lines(string(doc)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		item := m[1] + m[2]
		perSection[m[1]]++
		cells := strings.Split(m[3], " | ")
		tests := cells[len(cells)-1]
		named := list.FindAllStringSubmatch(tests, -1)
		if len(named) == 0 && !strings.HasPrefix(tests, "not covered: ") {
			t.Errorf("%s: neither a test nor a reason", item)
		}
		for _, l := range named {
			for name := range strings.SplitSeq(l[2], ", ") {
				name = strings.Trim(name, "`")
				if !strings.HasPrefix(name, item+"_") {
					t.Errorf("%s: names %s", item, name)
				}
				inDoc[l[1]+": "+name] = true
			}
		}
	}
	for name := range inDoc {
		if !inSource[name] {
			t.Errorf("the table names %s, which does not exist", name)
		}
	}
	for name := range inSource {
		if !inDoc[name] {
			t.Errorf("the table does not name %s", name)
		}
	}
	total := 0
	for section, want := range map[string]int{"A": 9, "B": 28, "C": 20, "D": 23, "E": 21, "F": 11, "G": 8, "H": 5, "I": 4, "J": 23, "K": 17, "L": 8} {
		if perSection[section] != want {
			t.Errorf("section %s has %d rows, want %d", section, perSection[section], want)
		}
		total += want
	}
	if total != 177 {
		t.Errorf("%d items, want 177", total)
	}
}

// itemTests gives the names of the subtests that are for items, from a
// package's test files.
func itemTests(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no test files, %v", pkg, err)
	}
	name := regexp.MustCompile(`"([A-L]\d+_\w+)"`)
	var names []string
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(src), -1) {
			if slices.Contains(names, m[1]) {
				t.Errorf("%s: two tests are called %s", pkg, m[1])
			}
			names = append(names, m[1])
		}
	}
	return names
}
