package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/config"
)

// blocks gives the fenced blocks of a kind in a text.
func blocks(text, kind string) (list []string) {
	for {
		_, rest, found := strings.Cut(text, "```"+kind+"\n")
		if !found {
			return list
		}
		block, after, _ := strings.Cut(rest, "\n```")
		list, text = append(list, block), after
	}
}

// TestProxyGuide: the configurations in the guide are valid, and so are the
// command lines.
func TestProxyGuide(t *testing.T) {
	b, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	configs := blocks(string(b), "yaml")
	if len(configs) < 10 {
		t.Errorf("the guide has %d configurations, want some", len(configs))
	}
	for _, text := range configs {
		if _, err := config.Parse("proxy.md", []byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "proxy.yaml")
	if err := os.WriteFile(file, []byte(configs[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range blocks(string(b), "sh") {
		for line := range strings.SplitSeq(strings.ReplaceAll(block, "\\\n", ""), "\n") {
			args := strings.Fields(strings.TrimSuffix(line, "&"))
			if len(args) < 2 || args[0] != "braid" {
				continue
			}
			commands++
			for i, a := range args {
				switch {
				case a == "proxy.yaml":
					args[i] = file
				case strings.HasSuffix(a, ".pem"): // is made by the reader
					args[i-1], args[i] = "--log", "text"
				}
			}
			if args[1] == "proxy" && args[2] != "validate" {
				args = append(args, "--print-config")
			}
			if code, _, stderr := invoke(t.Context(), args[1:]...); code != 0 {
				t.Errorf("%q: exit code %d, %s", line, code, stderr)
			}
		}
	}
	if commands < 5 {
		t.Errorf("the guide has %d commands, want some", commands)
	}
}
