package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sourceFile is one file of the module that is no test. Files for every
// platform are looked at, not only those that build here.
type sourceFile struct {
	pkg  string // relative to the module, "." for the root
	fset *token.FileSet
	ast  *ast.File
}

// parseModule parses all files of the module in dir except tests, testdata and
// modules nested in it.
func parseModule(dir string) ([]sourceFile, error) {
	var files []sourceFile
	fset := token.NewFileSet()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if name != dir && (base == "testdata" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != dir {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(name))
		if err != nil {
			return err
		}
		files = append(files, sourceFile{filepath.ToSlash(rel), fset, f})
		return nil
	})
	return files, err
}

// purePackages gives the packages of Pure that have files.
func purePackages(files []sourceFile) []string {
	var pkgs []string
	for _, f := range files {
		if slices.Contains(Pure, f.pkg) && !slices.Contains(pkgs, f.pkg) {
			pkgs = append(pkgs, f.pkg)
		}
	}
	return pkgs
}

// checkImports holds every file to the import table, the core to its list of
// standard packages, and all to the table of dependencies.
func checkImports(files []sourceFile) []Violation {
	var found []Violation
	for _, f := range files {
		row, listed := findPackage(f.pkg)
		if !listed {
			found = append(found, Violation{f.fset.Position(f.ast.Package), ruleTable,
				fmt.Sprintf("package %s has no row", f.pkg)})
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has accepted it, so this cannot be
			}
			if rule, what, bad := judgeImport(row, imported); bad {
				found = append(found, Violation{f.fset.Position(spec.Pos()), rule, what})
			}
		}
	}
	return found
}

func findPackage(pkg string) (Package, bool) {
	i := slices.IndexFunc(Packages, func(p Package) bool { return p.Path == pkg })
	if i < 0 {
		return Package{}, false
	}
	return Packages[i], true
}

// judgeImport says which rule, if any, the package of row breaks by importing
// the path.
func judgeImport(row Package, imported string) (rule Rule, what string, bad bool) {
	pure := slices.Contains(Pure, row.Path)
	switch {
	case imported == Module || strings.HasPrefix(imported, Module+"/"):
		rel := "."
		if imported != Module {
			rel = strings.TrimPrefix(imported, Module+"/")
		}
		if allows(row.May, rel) {
			return Rule{}, "", false
		}
		return ruleImport, fmt.Sprintf("%s imports %s; it may import %s: %s",
			row.Path, rel, orNothing(row.May), row.Why), true
	case strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
		return judgeDependency(row.Path, imported, pure)
	case pure && !slices.Contains(standardInCore, imported):
		return ruleStandard, fmt.Sprintf("%s imports %s", row.Path, imported), true
	}
	return Rule{}, "", false
}

func judgeDependency(pkg, imported string, pure bool) (Rule, string, bool) {
	for _, d := range Dependencies {
		if imported != d.Module && !strings.HasPrefix(imported, d.Module+"/") {
			continue
		}
		if !pure && allows(d.By, pkg) {
			return Rule{}, "", false
		}
		return ruleDependency, fmt.Sprintf("%s imports %s, which is for %s", pkg, imported, orNothing(d.By)), true
	}
	return ruleDependency, fmt.Sprintf("%s imports %s, which has no row", pkg, imported), true
}

func allows(list []string, pkg string) bool {
	return slices.Contains(list, pkg) || slices.Equal(list, anything)
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing of ours"
	}
	return strings.Join(list, ", ")
}

// checkPanics finds panics whose message does not begin with "BUG:".
func checkPanics(files []sourceFile) []Violation {
	var found []Violation
	for _, f := range files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != "panic" {
				return true
			}
			if !strings.HasPrefix(firstLiteral(call.Args[0]), "BUG:") {
				found = append(found, Violation{f.fset.Position(call.Pos()), rulePanic,
					path.Base(f.pkg) + " panics without it"})
			}
			return true
		})
	}
	return found
}

// firstLiteral gives the leftmost string literal of an expression such as
// "a" + b or fmt.Sprintf("a", b).
func firstLiteral(e ast.Expr) string {
	var lit string
	ast.Inspect(e, func(n ast.Node) bool {
		if b, ok := n.(*ast.BasicLit); ok && b.Kind == token.STRING && lit == "" {
			lit, _ = strconv.Unquote(b.Value)
		}
		return lit == ""
	})
	return lit
}
