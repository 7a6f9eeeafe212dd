package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds a configuration file.
const maxFile = 16 << 20

// Load reads a file, and checks the files it refers to. The error is an Errors
// with all mistakes, or that of reading the file.
func Load(file string) (*Config, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("config: %s: %w: it is larger than %v", file, fs.ErrInvalid, Size(maxFile))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	cfg, errs := parse(file, dir, text)
	if cfg != nil {
		errs = append(errs, cfg.checkFiles()...)
	}
	if len(errs) > 0 {
		return nil, errs.sorted()
	}
	return cfg, nil
}

// Parse reads the text of a file, whose name is for messages, and for names of
// files, which count from its directory. The files are not looked at. The error
// is an Errors.
func Parse(file string, text []byte) (*Config, error) {
	cfg, errs := parse(file, filepath.Dir(file), text)
	if len(errs) > 0 {
		return nil, errs.sorted()
	}
	return cfg, nil
}

// parse decodes and validates. There is a Config if the text is YAML of a
// bearable size, whatever else is wrong.
func parse(file, dir string, text []byte) (*Config, Errors) {
	document, errs := parseNode(file, text)
	if document == nil {
		return nil, errs
	}
	cfg := fresh[Config]()
	d := &decoder{source: &source{file, dir, make(map[string]Position)}}
	if root := document.Content; len(root) == 1 && !(root[0].Kind == yaml.ScalarNode && root[0].ShortTag() == "!!null") {
		d.value(root[0], reflect.ValueOf(cfg).Elem(), "")
	}
	if d.nodes > maxNodes {
		return nil, d.errs // half of it says nothing about the rest
	}
	cfg.source = d.source
	cfg.setRequired()
	cfg.resolveDefaults(dir)
	return cfg, append(d.errs, cfg.validate(d.errs)...)
}

// resolveDefaults makes file names count from dir that were not in the file.
func (c *Config) resolveDefaults(dir string) {
	for i, l := range c.Listeners {
		if _, given := c.source.at[index("listeners", i)+".tls.acme.cache"]; given {
			continue
		}
		if l.TLS != nil && l.TLS.ACME != nil {
			l.TLS.ACME.Cache = File(filepath.Join(dir, string(l.TLS.ACME.Cache)))
		}
	}
}

// At gives the position of a value by its path, such as
// "pools.web.backends[0].weight", or of the nearest value around it. A Config
// that was not read from a file knows none.
func (c *Config) At(path string) Position {
	if c.source == nil {
		return Position{}
	}
	for p := path; ; p = parent(p) {
		if at, ok := c.source.at[p]; ok {
			return at
		}
		if p == "" {
			return Position{File: c.source.file}
		}
	}
}

// parent takes the last part off a path.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}
