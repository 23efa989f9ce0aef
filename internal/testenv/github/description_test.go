package github

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// whole is GitHub's description, taken apart no further than need be: whole,
// the validator takes ten times as long to read it.
type whole struct {
	OpenAPI    string                                `json:"openapi"`
	Info       json.RawMessage                       `json:"info"`
	Paths      map[string]json.RawMessage            `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
}

// described returns the part of GitHub's description that the operations need.
func described(t *testing.T) []byte {
	t.Helper()
	var all whole
	require.NoError(t, json.Unmarshal(Description(t), &all))
	part := whole{OpenAPI: all.OpenAPI, Info: all.Info, Paths: map[string]json.RawMessage{}, Components: map[string]map[string]json.RawMessage{}}
	var open []json.RawMessage
	for line := range strings.Lines(strings.TrimSpace(operations)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		require.Contains(t, all.Paths, path)
		part.Paths[path] = all.Paths[path]
		open = append(open, all.Paths[path])
	}
	for name := range strings.FieldsSeq(payloads) {
		require.Contains(t, all.Components["schemas"], "webhook-"+name)
		open = append(open, json.RawMessage(`"#/components/schemas/webhook-`+name+`"`))
	}
	part.close(all, open)
	text, err := json.Marshal(part)
	require.NoError(t, err)
	return text
}

// close adds the components that texts name, and those that these name.
func (w *whole) close(all whole, open []json.RawMessage) {
	reference := regexp.MustCompile(`"#/components/([^/"]+)/([^"]+)"`)
	for len(open) > 0 {
		text := open[0]
		open = open[1:]
		for _, named := range reference.FindAllSubmatch(text, -1) {
			kind, name := string(named[1]), string(named[2])
			if w.Components[kind] == nil {
				w.Components[kind] = map[string]json.RawMessage{}
			}
			if _, known := w.Components[kind][name]; !known {
				w.Components[kind][name] = all.Components[kind][name]
				open = append(open, all.Components[kind][name])
			}
		}
	}
}
