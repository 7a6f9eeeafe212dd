package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// standardInCore are the standard packages the core may import. What is not
// here either does I/O, knows a clock, shares state between goroutines or has
// not been needed yet.
var standardInCore = []string{
	"bytes", "cmp", "container/heap", "crypto/hmac", "crypto/sha1", "crypto/sha256", "crypto/subtle",
	"encoding/binary", "encoding/hex", "errors", "fmt", "hash", "io", "iter", "maps", "math", "math/bits",
	"math/rand/v2", "net/netip", "slices", "sort", "strconv", "strings", "time",
}

// forbidden are functions of allowed packages, with the rule each breaks.
var forbidden = map[string]Rule{
	"time.Now": ruleClock, "time.Since": ruleClock, "time.Until": ruleClock, "time.Sleep": ruleClock,
	"time.After": ruleClock, "time.AfterFunc": ruleClock, "time.Tick": ruleClock,
	"time.NewTimer": ruleClock, "time.NewTicker": ruleClock, "time.Local": ruleClock,
	"fmt.Print": ruleOutput, "fmt.Printf": ruleOutput, "fmt.Println": ruleOutput,
	"fmt.Scan": ruleOutput, "fmt.Scanf": ruleOutput, "fmt.Scanln": ruleOutput,
}

// ownSource are the functions of math/rand/v2 that need a source of one's own;
// all others draw from the global one.
var ownSource = []string{"New", "NewPCG", "NewChaCha8", "NewZipf"}

// anyOrder marks a range over a map whose order cannot show.
const anyOrder = "any order:"

// checkPurity looks, with types, at the packages (relative paths) of the
// module in dir.
func checkPurity(dir string, pkgs []string) ([]Violation, error) {
	if len(pkgs) == 0 {
		return nil, nil
	}
	patterns := make([]string, len(pkgs))
	for i, p := range pkgs {
		patterns[i] = "./" + p
	}
	loaded, err := packages.Load(&packages.Config{
		Dir: dir,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, patterns...)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("loading %s: %w", p.PkgPath, p.Errors[0])
		}
		for _, f := range p.Syntax {
			v := &purity{fset: p.Fset, info: p.TypesInfo, pkg: p.Types, marked: markedLines(p.Fset, f)}
			v.sorted = sortedCalls(p.TypesInfo, f)
			ast.Inspect(f, v.visit)
			found = append(found, v.found...)
		}
	}
	return found, nil
}

// purity looks at one file.
type purity struct {
	fset   *token.FileSet
	info   *types.Info
	pkg    *types.Package
	marked map[int]bool           // lines excused by an anyOrder comment
	sorted map[*ast.CallExpr]bool // calls whose result is sorted at once
	found  []Violation
}

func (v *purity) report(n ast.Node, r Rule, what string) {
	v.found = append(v.found, Violation{v.fset.Position(n.Pos()), r, what})
}

func (v *purity) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		v.report(n, ruleConcurrent, "go statement")
	case *ast.ChanType:
		v.report(n, ruleConcurrent, "channel type")
	case *ast.SendStmt:
		v.report(n, ruleConcurrent, "channel send")
	case *ast.SelectStmt:
		v.report(n, ruleConcurrent, "select")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			v.report(n, ruleConcurrent, "channel receive")
		}
	case *ast.RangeStmt:
		v.checkRange(n)
	case *ast.CallExpr:
		v.checkCall(n)
	case *ast.Ident:
		v.checkUse(n)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, left := range n.Lhs {
				v.checkChange(left)
			}
		}
	case *ast.IncDecStmt:
		v.checkChange(n.X)
	}
	return true
}

func (v *purity) checkRange(n *ast.RangeStmt) {
	if _, isMap := v.typeOf(n.X).(*types.Map); isMap && !v.excused(n) {
		v.report(n, ruleMapOrder, "range over a map")
	}
}

// checkCall finds the iterators of package maps, which give the map's order,
// and the printing builtins.
func (v *purity) checkCall(n *ast.CallExpr) {
	obj := callee(v.info, n)
	if obj == nil {
		return
	}
	if obj.Pkg() == nil && (obj.Name() == "print" || obj.Name() == "println") {
		v.report(n, ruleOutput, obj.Name())
	}
	if obj.Pkg() != nil && obj.Pkg().Path() == "maps" && slices.Contains([]string{"All", "Keys", "Values"}, obj.Name()) &&
		!v.sorted[n] && !v.excused(n) {
		v.report(n, ruleMapOrder, "maps."+obj.Name())
	}
}

// checkUse finds forbidden functions, called or passed on as values.
func (v *purity) checkUse(id *ast.Ident) {
	obj := v.info.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		return // a local, a field, a method or a builtin
	}
	name := obj.Pkg().Path() + "." + obj.Name()
	if rule, bad := forbidden[name]; bad {
		v.report(id, rule, name)
	}
	if _, isFunc := obj.(*types.Func); isFunc && obj.Pkg().Path() == "math/rand/v2" && !slices.Contains(ownSource, obj.Name()) {
		v.report(id, ruleRandom, name)
	}
}

// checkChange finds assignments to variables of a package.
func (v *purity) checkChange(left ast.Expr) {
	for {
		switch e := left.(type) {
		case *ast.ParenExpr:
			left = e.X
		case *ast.IndexExpr:
			left = e.X
		case *ast.StarExpr:
			left = e.X
		case *ast.SelectorExpr:
			if _, qualified := v.info.Selections[e]; !qualified {
				left = e.Sel // package.Variable
				continue
			}
			left = e.X
		case *ast.Ident:
			if obj, ok := v.info.Uses[e].(*types.Var); ok && obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() {
				v.report(e, ruleGlobal, "changes "+obj.Name())
			}
			return
		default:
			return
		}
	}
}

func (v *purity) typeOf(e ast.Expr) types.Type {
	t := v.info.TypeOf(e)
	if t == nil {
		return nil
	}
	return t.Underlying()
}

// excused reports whether the line of n or the one before carries the mark.
func (v *purity) excused(n ast.Node) bool {
	line := v.fset.Position(n.Pos()).Line
	return v.marked[line] || v.marked[line-1]
}

// markedLines gives the last line of each comment group that has the mark with
// a reason behind it.
func markedLines(fset *token.FileSet, f *ast.File) map[int]bool {
	lines := make(map[int]bool)
	for _, group := range f.Comments {
		if _, reason, ok := strings.Cut(group.Text(), anyOrder); ok && strings.TrimSpace(reason) != "" {
			lines[fset.Position(group.End()).Line] = true
		}
	}
	return lines
}

// sortedCalls finds the calls that are the argument of slices.Sorted and its
// like.
func sortedCalls(info *types.Info, f *ast.File) map[*ast.CallExpr]bool {
	calls := make(map[*ast.CallExpr]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		outer, ok := n.(*ast.CallExpr)
		if !ok || len(outer.Args) == 0 {
			return true
		}
		obj := callee(info, outer)
		if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != "slices" || !strings.HasPrefix(obj.Name(), "Sorted") {
			return true
		}
		if inner, ok := outer.Args[0].(*ast.CallExpr); ok {
			calls[inner] = true
		}
		return true
	})
	return calls
}

// callee gives what a call calls, nil when that is not a named function.
func callee(info *types.Info, call *ast.CallExpr) types.Object {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return info.Uses[f]
	case *ast.SelectorExpr:
		return info.Uses[f.Sel]
	case *ast.IndexExpr: // an instantiated generic function
		if sel, ok := f.X.(*ast.SelectorExpr); ok {
			return info.Uses[sel.Sel]
		}
	}
	return nil
}
