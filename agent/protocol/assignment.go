package protocol

import (
	"encoding/json"
	"slices"
)

// wireAssignment is an Assignment as a frame carries it: an environment once for
// each Release, however many Instances run it.
type wireAssignment struct {
	plainAssignment
	Environments map[string]map[string]string `json:"environments,omitempty"`
}

// plainAssignment is an Assignment without its ways of encoding.
type plainAssignment Assignment

// MarshalJSON moves the Instances' environments into one place.
func (a Assignment) MarshalJSON() ([]byte, error) {
	wire := wireAssignment{plainAssignment(a), map[string]map[string]string{}}
	wire.Instances = slices.Clone(a.Instances)
	for i := range wire.Instances {
		instance := &wire.Instances[i]
		if instance.Env == nil || instance.ReleaseID == "" {
			continue
		}
		if _, known := wire.Environments[instance.ReleaseID]; !known {
			wire.Environments[instance.ReleaseID] = instance.Env
		}
		instance.Env = nil
	}
	return json.Marshal(wire)
}

// UnmarshalJSON gives every Instance its environment back. Those of one Release
// share it.
func (a *Assignment) UnmarshalJSON(text []byte) error {
	var wire wireAssignment
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	for i := range wire.Instances {
		instance := &wire.Instances[i]
		if shared, known := wire.Environments[instance.ReleaseID]; known && instance.Env == nil {
			instance.Env = shared
		}
	}
	*a = Assignment(wire.plainAssignment)
	return nil
}
