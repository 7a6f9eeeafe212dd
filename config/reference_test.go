package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/config.md")

const referenceFile = "../docs/config.md"

// TestReference holds docs/config.md to the documentation of the types here.
func TestReference(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/config.md is not what the code says; run go test ./config -update")
	}
}

// typeDocs are the comments of the package's types, and of their fields by
// "Type.Field".
func typeDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := make(map[string]string)
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					addDocs(docs, ts, gen.Doc)
				}
			}
		}
	}
	return docs
}

func addDocs(docs map[string]string, ts *ast.TypeSpec, doc *ast.CommentGroup) {
	docs[ts.Name.Name] = oneLine(doc.Text())
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			docs[ts.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// reference writes docs/config.md.
func reference(t *testing.T) string {
	docs := typeDocs(t)
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Written by go test ./config -update from the documentation in package config. -->

braid's servers read one YAML file. It is decoded strictly: an unknown key, a
value of the wrong type or a name that refers to nothing is an error with file,
line and column, and all errors are told at once.

- Times are like ` + "`500ms`, `30s`, `1m30s` or `7d`" + `, sizes like ` + "`512`, `64KiB` or `10MB`" + `.
- A list of one may be written without brackets or dash.
- Names of files are relative to the directory of the configuration.
- Anchors and aliases may be used, merge keys (` + "`<<`" + `) may not.
- Addresses are ` + "`host:port`" + ` with a prefix that says how they are spoken to:
  ` + "`mptcp@`, `mptcp4@`, `mptcp6@`, `tcp@`, `tcp4@`, `tcp6@`, `unix@path`, `fd@name`" + `.

A file that does something:

` + "```yaml" + `
listeners:
  address: mptcp@:443
  tls: {certificates: {cert: site.pem, key: site.key}}
  pool: web
pools:
  web:
    backends: [10.0.0.1:80, 10.0.0.2:80]
    check: {type: http, path: /health}
` + "```\n")
	seen := map[reflect.Type]bool{}
	section(t, &b, docs, reflect.TypeFor[Config](), "The file", seen)
	fmt.Fprintf(&b, "\n## All defaults\n\nWhat `braid config print-default` writes: the default of every key, with a listener, a\nroute and a pool to start from.\n\n```yaml\n%s```\n", printed(t, Default()))
	return b.String()
}

// section writes a table for a struct, and then sections for those below it.
func section(t *testing.T, b *strings.Builder, docs map[string]string, typ reflect.Type, path string, seen map[reflect.Type]bool) {
	if seen[typ] {
		return
	}
	seen[typ] = true
	doc := docs[typ.Name()]
	if doc == "" {
		t.Errorf("%s has no documentation", typ.Name())
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| key | value | default | |\n|---|---|---|---|\n", path, sentence(doc))
	def := reflect.New(typ).Elem()
	prepare(def)
	type child struct {
		typ  reflect.Type
		path string
	}
	var children []child
	for _, i := range fieldsOf(typ) {
		f := typ.Field(i)
		key := f.Tag.Get("yaml")
		text := docs[typ.Name()+"."+f.Name]
		if text == "" {
			t.Errorf("%s.%s has no documentation", typ.Name(), f.Name)
		}
		kind, below := kindOf(f.Type)
		if below != nil {
			p := key
			if path != "The file" {
				p = strings.Trim(path, "`") + "." + key
			}
			children = append(children, child{below, "`" + p + strings.TrimPrefix(kind, "keys") + "`"})
			kind = map[string]string{"keys": "keys", "[]": "list", ".NAME": "by name"}[kind]
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, kind, defaultOf(def.Field(i)), escape(text))
	}
	for _, c := range children {
		section(t, b, docs, c.typ, c.path, seen)
	}
}

// sentence turns "Listener is an address ..." into "An address ...".
func sentence(doc string) string {
	for _, verb := range []string{" is ", " are ", " says ", " chooses ", " tests ", " leaves ", " brings ", " gets ", " sends ", " answers ", " changes "} {
		name, rest, ok := strings.Cut(doc, verb)
		if !ok || strings.Contains(name, " ") {
			continue
		}
		if verb != " is " && verb != " are " {
			rest = strings.TrimSpace(verb) + " " + rest
		}
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return doc
}

// kindOf says what a value looks like; below is the struct it consists of.
func kindOf(t reflect.Type) (kind string, below reflect.Type) {
	if named, ok := map[reflect.Type]string{
		reflect.TypeFor[Duration](): "time", reflect.TypeFor[Size](): "size", reflect.TypeFor[Ratio](): "part",
		reflect.TypeFor[Address](): "address", reflect.TypeFor[Prefix](): "network", reflect.TypeFor[StatusRange](): "status",
		reflect.TypeFor[SourceMask](): "mask", reflect.TypeFor[IdleOverride](): "time or word",
		reflect.TypeFor[HashKey](): "word", reflect.TypeFor[File](): "file",
	}[t]; ok {
		return named, nil
	}
	if w, ok := reflect.Zero(t).Interface().(worded); ok {
		return "`" + strings.Join(w.words(), "`, `") + "`", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Struct:
		return "keys", t
	case reflect.Slice:
		kind, below := kindOf(t.Elem())
		if below != nil {
			return "[]", below
		}
		return "list of " + map[string]string{"text": "texts", "status": "statuses", "address": "addresses", "network": "networks"}[kind], nil
	case reflect.Map:
		if _, below := kindOf(t.Elem()); below != nil {
			return ".NAME", below
		}
		return "names with texts", nil
	case reflect.Bool:
		return "`true`, `false`", nil
	case reflect.Int:
		return "number", nil
	}
	return "text", nil
}

// defaultOf writes the default of a field.
func defaultOf(v reflect.Value) string {
	if empty(v) || v.Kind() == reflect.Struct && !isText(v) {
		return ""
	}
	n := node(v)
	if n.Content != nil {
		var list []string
		for _, c := range n.Content {
			list = append(list, c.Value)
		}
		return "`" + strings.Join(list, ", ") + "`"
	}
	if n.Value == "" {
		return ""
	}
	return "`" + n.Value + "`"
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
