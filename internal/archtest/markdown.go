package archtest

import (
	"bytes"
	"fmt"
	"strings"
)

// The lines of ARCHITECTURE.md between which the tables stand.
const (
	tablesBegin = "<!-- tables: written by go test ./internal/archtest -update -->"
	tablesEnd   = "<!-- end of tables -->"
)

// Tables gives the import table and the table of dependencies as Markdown.
func Tables() string {
	var b strings.Builder
	b.WriteString("| package | holds | may import of ours | because |\n|---|---|---|---|\n")
	for _, p := range Packages {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", pathCell(p.Path), p.Holds, listCell(p.May), p.Why)
	}
	b.WriteString("\n| other module | used by | for |\n|---|---|---|\n")
	for _, d := range Dependencies {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.Module, listCell(d.By), d.Why)
	}
	return b.String()
}

func pathCell(p string) string {
	if p == "." {
		return "`braid` (the root)"
	}
	return "`" + p + "`"
}

func listCell(list []string) string {
	switch {
	case len(list) == 0:
		return "-"
	case allows(list, ""):
		return "all"
	}
	return strings.Join(list, " ")
}

// replaceTables puts the tables into a document that has the two marker lines.
func replaceTables(doc []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(doc, []byte(tablesBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tablesEnd))
	if !ok || !ok2 {
		return nil, fmt.Errorf("no lines %q and %q", tablesBegin, tablesEnd)
	}
	var out bytes.Buffer
	out.Write(before)
	fmt.Fprintf(&out, "%s\n\n%s\n%s", tablesBegin, Tables(), tablesEnd)
	out.Write(after)
	return out.Bytes(), nil
}
