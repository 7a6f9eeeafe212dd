package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxNodes bounds what aliases can make of a small file. How deep it goes is
// bounded by the types.
const maxNodes = 200000

// decoder turns the nodes of a file into values, and collects mistakes instead
// of stopping at one.
type decoder struct {
	source *source
	errs   Errors
	nodes  int
}

// source knows where the values of a Config come from.
type source struct {
	file string
	dir  string
	at   map[string]Position // by path
}

// defaulter is a value that does not begin as zero.
type defaulter interface{ setDefaults() }

// worded is a string of which only some values are valid.
type worded interface{ words() []string }

// scalarForm is a mapping that may be written as the value of one of its keys.
type scalarForm interface{ scalarKey() string }

func (d *decoder) errorf(n *yaml.Node, path, format string, args ...any) {
	d.errs = append(d.errs, Error{d.position(n), path, fmt.Sprintf(format, args...)})
}

func (d *decoder) position(n *yaml.Node) Position {
	return Position{d.source.file, n.Line, n.Column}
}

// value decodes n into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.errorf(n, path, "here the file becomes too large; it has more than %d values", maxNodes)
		}
		return
	}
	d.source.at[path] = d.position(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.errorf(n, path, "is empty; leave the key out for the default")
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, u, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		prepare(fresh.Elem())
		d.value(n, fresh.Elem(), path)
		v.Set(fresh)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// prepare fills in the defaults of a value and of the structs in it.
func prepare(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			prepare(v.Field(i))
		}
	}
	if def, ok := v.Addr().Interface().(defaulter); ok {
		def.setDefaults()
	}
}

// structure decodes a mapping with known keys.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	keys := keysOf(v.Type())
	if s, ok := v.Addr().Interface().(scalarForm); ok && n.Kind == yaml.ScalarNode {
		i := slices.Index(keys, s.scalarKey())
		d.value(n, v.Field(fieldsOf(v.Type())[i]), join(path, s.scalarKey()))
		return
	}
	if n.Kind != yaml.MappingNode {
		d.wrongKind(n, path, "keys with values: "+strings.Join(keys, ", "))
		return
	}
	d.eachKey(n, path, func(key, value *yaml.Node) {
		i := slices.Index(keys, key.Value)
		if i < 0 {
			d.errorf(key, path, "unknown key %s; %s", quote(key.Value), suggest(key.Value, keys))
			return
		}
		d.value(value, v.Field(fieldsOf(v.Type())[i]), join(path, key.Value))
	})
}

// eachKey calls f for the pairs of a mapping, except those that cannot be.
func (d *decoder) eachKey(n *yaml.Node, path string, f func(key, value *yaml.Node)) {
	seen := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			d.errorf(key, path, "a key has to be a word")
		case key.Value == "<<" && key.Style == 0:
			d.errorf(key, path, "merge keys are not supported; refer to a whole value by an alias")
		case seen[key.Value] != nil:
			d.errorf(key, path, "%s is here twice, first in line %d", quote(key.Value), seen[key.Value].Line)
		default:
			seen[key.Value] = key
			f(key, value)
		}
	}
}

// mapping decodes a mapping whose keys are names.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wrongKind(n, path, "names with values")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.eachKey(n, path, func(key, value *yaml.Node) {
		if key.Value == "" {
			d.errorf(key, path, "a name is empty")
			return
		}
		element := d.element(value, v.Type().Elem(), join(path, key.Value))
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

// list decodes a sequence, or one value for a list of one.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		items = []*yaml.Node{n}
	}
	list := reflect.MakeSlice(v.Type(), 0, len(items))
	for i, item := range items {
		list = reflect.Append(list, d.element(item, v.Type().Elem(), index(path, i)))
	}
	v.Set(list)
}

// element decodes an element of a list or a mapping. It is never nil, so that
// validation may go on behind a mistake.
func (d *decoder) element(n *yaml.Node, t reflect.Type, path string) reflect.Value {
	element := reflect.New(t).Elem()
	prepare(element)
	d.value(n, element, path)
	if element.Kind() == reflect.Pointer && element.IsNil() {
		element.Set(reflect.New(t.Elem()))
		prepare(element.Elem())
	}
	return element
}

// text decodes a value that reads itself.
func (d *decoder) text(n *yaml.Node, u encoding.TextUnmarshaler, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "one value")
		return
	}
	if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		d.errorf(n, path, "%v", err)
	}
}

// scalar decodes a string, a number or a truth.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "one value")
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.str(n, v, path)
	case reflect.Bool:
		switch n.Value {
		case "true", "false":
			v.SetBool(n.Value == "true")
		default:
			d.errorf(n, path, "%s is neither true nor false", quote(n.Value))
		}
	case reflect.Int:
		// Base 10 alone: to YAML 1.1, 010 is eight.
		i, err := strconv.Atoi(n.Value)
		leadingZero := len(n.Value) > 1 && strings.TrimLeft(n.Value, "+-")[0] == '0'
		if err != nil || leadingZero || n.Value[0] == '+' {
			d.errorf(n, path, "%s is not a whole number", quote(n.Value))
			return
		}
		if i < 0 {
			d.errorf(n, path, "must not be negative")
			return
		}
		v.SetInt(int64(i))
	default:
		panic("BUG: no decoding into " + v.Type().String())
	}
}

func (d *decoder) str(n *yaml.Node, v reflect.Value, path string) {
	s := n.Value
	switch v := v.Addr().Interface().(type) {
	case worded:
		if words := v.words(); !isWord(s, words) {
			d.errorf(n, path, "%s is not a value; %s", quote(s), suggest(s, words))
			return
		}
	case *File:
		if s == "" {
			d.errorf(n, path, "is empty; leave the key out")
			return
		}
		if !filepath.IsAbs(s) {
			s = filepath.Join(d.source.dir, s)
		}
	}
	v.SetString(s)
}

func (d *decoder) wrongKind(n *yaml.Node, path, want string) {
	got := map[yaml.Kind]string{
		yaml.ScalarNode:   "the value " + quote(n.Value),
		yaml.SequenceNode: "a list",
		yaml.MappingNode:  "keys with values",
	}[n.Kind]
	d.errorf(n, path, "wants %s, but has %s", want, got)
}

// keysOf gives the keys of a struct, fieldsOf the indexes of their fields.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, i := range fieldsOf(t) {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
	}
	return keys
}

func fieldsOf(t reflect.Type) []int {
	var fields []int
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") != "" {
			fields = append(fields, i)
		}
	}
	return fields
}

// join and index make the path of a value inside of another.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parseNode reads the one document of a file.
func parseNode(file string, text []byte) (*yaml.Node, Errors) {
	var document yaml.Node
	err := yaml.Load(text, &document)
	if err == nil {
		return &document, nil
	}
	at, message := Position{File: file}, strings.TrimPrefix(err.Error(), "yaml: ")
	if one := (*yaml.LoadError)(nil); errors.As(err, &one) {
		at.Line, at.Column = one.Mark.Line, one.Mark.Column
		message = strings.TrimPrefix(one.Message, "yaml: ")
	}
	switch message {
	case "no documents in stream":
		message = "the file is empty"
	case "expected single document, found multiple":
		message = "the file holds several documents, apart by ---; one is wanted"
	}
	if line := tabbed(text); line > 0 && line <= at.Line+1 { // where the tab begins to matter
		at.Line, at.Column, message = line, 1, "indented by a tab; YAML wants spaces"
	}
	return nil, Errors{{at, "", message}}
}

// tabbed gives the number of the first line that is indented by a tab, or 0.
func tabbed(text []byte) (number int) {
	for line := range bytes.Lines(text) {
		number++
		if indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]; bytes.ContainsRune(indent, '\t') {
			return number
		}
	}
	return 0
}
