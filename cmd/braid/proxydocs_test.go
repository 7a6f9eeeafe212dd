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

// TestProxyGuide: the configurations in the guides are valid, and so are the
// command lines.
func TestProxyGuide(t *testing.T) {
	for _, guide := range []struct {
		name              string
		configs, commands int // at least
	}{{"proxy.md", 10, 5}, {"nginx.md", 2, 2}} {
		t.Run(guide.name, func(t *testing.T) { testGuide(t, guide.name, guide.configs, guide.commands) })
	}
}

func testGuide(t *testing.T, name string, leastConfigs, leastCommands int) {
	b, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	configs := blocks(string(b), "yaml")
	if len(configs) < leastConfigs {
		t.Errorf("the guide has %d configurations, want some", len(configs))
	}
	for _, text := range configs {
		if _, err := config.Parse(name, []byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "proxy.yaml")
	first := strings.ReplaceAll(configs[0], "/var/log/braid", dir)
	if err := os.WriteFile(file, []byte(first), 0o644); err != nil {
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
				case strings.HasSuffix(a, "proxy.yaml"):
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
	if commands < leastCommands {
		t.Errorf("the guide has %d commands, want some", commands)
	}
}
