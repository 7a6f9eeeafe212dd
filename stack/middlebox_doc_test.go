package stack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMiddleboxTable holds docs/middleboxes.md to the tests there are.
func TestMiddleboxTable(t *testing.T) {
	doc, err := os.ReadFile("../docs/middleboxes.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("middlebox*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	inSource := map[string]bool{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(\d+_[A-Za-z]\w*)"`).FindAllStringSubmatch(string(src), -1) {
			if inSource[m[1]] {
				t.Errorf("two tests are called %s", m[1])
			}
			inSource[m[1]] = true
		}
	}
	inDoc := map[string]bool{}
	rows := 0
	for line := range strings.Lines(string(doc)) {
		number, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " ")
		if _, err := strconv.Atoi(number); !ok || err != nil {
			continue
		}
		rows++
		found := false
		for _, m := range regexp.MustCompile("`(\\d+)(_\\w+)`").FindAllStringSubmatch(line, -1) {
			if found = true; m[1] != number {
				t.Errorf("row %s names %s", number, m[1]+m[2])
			}
			inDoc[m[1]+m[2]] = true
		}
		if !found && !strings.Contains(line, "| not covered: ") {
			t.Errorf("row %s: neither a test nor a reason", number)
		}
	}
	if rows != 37 {
		t.Errorf("got %d rows, want 37", rows)
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
}
