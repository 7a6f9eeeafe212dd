package config

import (
	"strings"
	"testing"
)

// TestIndentedByTab says what YAML means by its own message.
func TestIndentedByTab(t *testing.T) {
	for text, want := range map[string]string{
		"pools:\n\tweb: {}\n":               "f:2:1: indented by a tab; YAML wants spaces",
		"pools:\n- a: 1\n  \tb: 2\n":        "f:3:1: indented by a tab; YAML wants spaces",
		"pools: }\nlog:\n\n\n\tlevel: x\n":  "f:1:8: did not find expected node content",
		"pools: {web: {backends: [\n\t9]}}": "listeners: there has to be one", // which YAML allows
	} {
		_, err := Parse("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
