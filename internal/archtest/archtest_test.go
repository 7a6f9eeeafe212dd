package archtest

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into ARCHITECTURE.md")

const root = "../.."

func TestModule(t *testing.T) {
	found, err := Check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestArchitectureShowsTables(t *testing.T) {
	name := filepath.Join(root, "ARCHITECTURE.md")
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := replaceTables(got)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	if !*update {
		t.Fatal("ARCHITECTURE.md shows other tables than table.go; run go test ./internal/archtest -update")
	}
	if err := os.WriteFile(name, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTableIsLayered shows that the import table has no cycle: a row names only
// rows above it.
func TestTableIsLayered(t *testing.T) {
	for i, p := range Packages {
		for _, may := range p.May {
			j := slices.IndexFunc(Packages, func(q Package) bool { return q.Path == may })
			if may != "*" && (j < 0 || j >= i) {
				t.Errorf("%s may import %s, which is not above it", p.Path, may)
			}
		}
		if p.Why == "" || p.Holds == "" {
			t.Errorf("%s: no reason or no content given", p.Path)
		}
	}
}

// TestFixture runs the check over a module that breaks every rule. A comment
// "// want RULE" stands on each line that has to be reported, and no other
// line may be.
func TestFixture(t *testing.T) {
	const dir = "testdata/broken"
	found, err := Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	seen := make(map[string]bool)
	for _, v := range found {
		got = append(got, fmt.Sprintf("%s:%d %s", v.Pos.Filename, v.Pos.Line, v.Rule.Name))
		seen[v.Rule.Name] = true
		if !strings.Contains(v.String(), v.Rule.Reason) {
			t.Errorf("%v does not give its reason", v)
		}
	}
	want := wanted(t, dir)
	slices.Sort(got)
	slices.Sort(want)
	got, want = slices.Compact(got), slices.Compact(want)
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("reported, but nothing is wrong there: %s", g)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("not reported: %s", w)
		}
	}
	for _, r := range []Rule{ruleTable, ruleImport, ruleDependency, rulePanic, ruleStandard, ruleClock,
		ruleRandom, ruleConcurrent, ruleMapOrder, ruleGlobal, ruleOutput} {
		if !seen[r.Name] {
			t.Errorf("the fixture does not break rule %s", r.Name)
		}
	}
}

var wantComment = regexp.MustCompile(`want ((?:[a-z]+ ?)+)$`)

// wanted reads the "// want" comments of the fixture.
func wanted(t *testing.T, dir string) []string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := parseModule(abs)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range files {
		for _, group := range f.ast.Comments {
			want = append(want, wantedBy(f, group, abs)...)
		}
	}
	if len(want) == 0 {
		t.Fatal("the fixture wants nothing")
	}
	return want
}

func wantedBy(f sourceFile, group *ast.CommentGroup, dir string) []string {
	var want []string
	for _, c := range group.List {
		m := wantComment.FindStringSubmatch(c.Text)
		if m == nil {
			continue
		}
		pos := f.fset.Position(c.Pos())
		rel := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(pos.Filename, dir)), "/")
		for _, rule := range strings.Fields(m[1]) {
			want = append(want, fmt.Sprintf("%s:%d %s", rel, pos.Line, rule))
		}
	}
	return want
}

// TestUnreadable shows that source that does not compile is an error, not a
// pass.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":     "module " + Module + "\n\ngo 1.26\n",
		"seq/seq.go": "package seq\n\nvar x undefinedType\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Check(dir); err == nil {
		t.Errorf("got %v and no error", found)
	}
}
