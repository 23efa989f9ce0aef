package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestAnAssignmentCarriesAnEnvironmentOnce: the length of a frame must not grow
// with how often a Release runs.
func TestAnAssignmentCarriesAnEnvironmentOnce(t *testing.T) {
	large := map[string]string{"LARGE": strings.Repeat("x", 64<<10)}
	sent := Assignment{Generation: 7, Routes: []Route{{App: "shop"}}}
	for range 400 {
		sent.Instances = append(sent.Instances, Instance{ReleaseID: "one", Env: large})
	}
	sent.Instances = append(sent.Instances,
		Instance{ReleaseID: "two", Env: map[string]string{"A": "1"}},
		Instance{ReleaseID: "three"},
		Instance{Env: map[string]string{"WITHOUT": "a release"}})
	frame, err := encodeFrame(Message{Assignment: &sent})
	if err != nil {
		t.Fatal(err)
	}
	if len(frame) > 1<<20 {
		t.Errorf("the frame has %d bytes", len(frame))
	}
	if sent.Instances[0].Env == nil {
		t.Error("encoding changed what it was given")
	}
	var got Assignment
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sent) {
		t.Error("the assignment changed on its way")
	}
}
