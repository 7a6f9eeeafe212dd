package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Print writes a Config as a file that means the same. What is empty and is so by
// default is left out; everything else is written, defaults too.
func Print(w io.Writer, c *Config) error {
	text, err := yaml.Dump(node(reflect.ValueOf(c)), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// structNode gives the YAML for a struct.
func structNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	def := reflect.New(v.Type()).Elem()
	prepare(def)
	for _, i := range fieldsOf(v.Type()) {
		if empty(v.Field(i)) && empty(def.Field(i)) {
			continue
		}
		value := node(v.Field(i))
		if value.Kind == yaml.MappingNode && len(value.Content) == 0 && v.Field(i).Kind() == reflect.Struct {
			continue
		}
		n.Content = append(n.Content, plain(v.Type().Field(i).Tag.Get("yaml")), value)
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// empty says whether v is written as nothing at all.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	}
	return false
}

func isText(v reflect.Value) bool {
	_, ok := v.Interface().(encoding.TextMarshaler)
	return ok
}

// node gives the YAML for a value that stands alone.
func node(v reflect.Value) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		return node(v.Elem())
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return plain(string(text))
	}
	switch v.Kind() {
	case reflect.Struct:
		return structNode(v)
	case reflect.Map:
		return mapNode(v)
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			list.Content = append(list.Content, node(v.Index(i)))
		}
		if v.Len() == 0 || isText(v.Index(0)) || v.Index(0).Kind() == reflect.String {
			list.Style = yaml.FlowStyle
		}
		return list
	case reflect.Bool:
		return plain(strconv.FormatBool(v.Bool()))
	case reflect.Int:
		return plain(strconv.FormatInt(v.Int(), 10))
	case reflect.String:
		return str(v.String())
	}
	panic("BUG: no encoding of " + v.Type().String())
}

func mapNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	var keys []string
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	for _, key := range keys {
		n.Content = append(n.Content, str(key), node(v.MapIndex(reflect.ValueOf(key))))
	}
	if len(keys) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// plain is a value whose type the reader knows by its place.
func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

// str is a string, in quotes where it would look like something else.
func str(s string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(s)
	return n
}
