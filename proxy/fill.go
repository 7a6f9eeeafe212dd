package proxy

import (
	"maps"
	"slices"
	"strings"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// filledField is a header field whose value tells something of the request it is
// added to.
type filledField struct {
	name  string
	value template
}

// splitEdits tells changes that are the same for all requests from fields that
// are not. Of the latter, those to be set are removed in the former.
func splitEdits(c *config.HeaderEdit) (fixed config.HeaderEdit, filled []filledField) {
	fixed = config.HeaderEdit{Remove: slices.Clone(c.Remove), Set: maps.Clone(c.Set), Add: maps.Clone(c.Add)}
	for _, edits := range []map[string]string{fixed.Set, fixed.Add} {
		for _, name := range slices.Sorted(maps.Keys(edits)) {
			value := newTemplate(edits[name])
			if value.fixed() || strings.EqualFold(name, "host") {
				continue
			}
			filled = append(filled, filledField{name, value})
			delete(edits, name)
		}
	}
	for name := range c.Set {
		if _, same := fixed.Set[name]; !same {
			fixed.Remove = append(fixed.Remove, name)
		}
	}
	return fixed, filled
}

// fill adds the fields that tell something of the request. What there is nothing
// to tell of has no field, whatever the client has sent under its name.
func (to *route) fill(req *request) error {
	var room [256]byte
	for _, f := range to.filled {
		value := f.value.append(room[:0], req)
		if len(value) == 0 {
			continue
		}
		if err := req.x.EditRequest().Add(f.name, string(value)); err != nil {
			return http1.ErrFieldValue // of a certificate: all else was parsed
		}
	}
	return nil
}
