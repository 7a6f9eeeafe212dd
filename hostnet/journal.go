package hostnet

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// DefaultDir is where the journals are: a directory which does not outlive the
// system's run, as what they tell of does not. A user who cannot write there has
// one of his own, in $XDG_RUNTIME_DIR or else in the directory for temporary
// files.
const DefaultDir = "/run/braid"

// journal is the record of an installation, on disk ahead of what it records.
type journal struct {
	Version   int    `json:"version"`
	Tag       string `json:"tag"`
	PID       int    `json:"pid"`
	Namespace string `json:"namespace"` // network namespace it is in
	// Persistent installations outlive their process.
	Persistent bool     `json:"persistent,omitempty"`
	Actions    []Action `json:"actions"`

	path string // of the file it was read from
}

const journalVersion = 1

func (j *journal) encode() ([]byte, error) {
	b, err := json.MarshalIndent(j, "", "\t")
	return append(b, '\n'), err
}

func decodeJournal(b []byte) (*journal, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // of a newer version: better left alone
	var j journal
	if err := d.Decode(&j); err != nil {
		return nil, fmt.Errorf("hostnet: journal: %w", err)
	}
	if j.Version != journalVersion || !validTag(j.Tag) {
		return nil, fmt.Errorf("hostnet: journal of version %d, tag %q", j.Version, j.Tag)
	}
	for _, a := range j.Actions {
		if a.Sysctl != nil && !validSetting(a.Sysctl.Name) {
			return nil, fmt.Errorf("hostnet: journal of %q, which is no setting of the network", a.Sysctl.Name)
		}
	}
	return &j, nil
}

// needs tells whether the installation relies on what the action did: a
// setting, limits, an endpoint or a rule that several have in common.
func (j *journal) needs(a Action) (bool, error) {
	key, err := a.key()
	if err != nil {
		return false, err
	}
	for _, have := range j.Actions {
		other, err := have.key()
		if err != nil {
			return false, err
		}
		if other == key {
			return true, nil
		}
	}
	return false, nil
}
