package gitserver

import (
	"bytes"
	"testing"

	"github.com/skypanel/sky/gitserver/pktline"
)

func FuzzReadPush(f *testing.F) {
	const id = "1111111111111111111111111111111111111111"
	line := id + " " + id + " refs/heads/main"
	f.Add(pktline.AppendFlush(nil))
	f.Add(pktline.AppendFlush(pktline.Append(nil, "%s\x00report-status atomic\n", line)))
	f.Add(pktline.AppendFlush(pktline.AppendFlush(pktline.Append(nil, "%s\x00push-options\n", line))))
	f.Add(pktline.Append(nil, "shallow %s\n", id))
	f.Add([]byte("0003"))
	f.Add([]byte("fff0short"))
	f.Add([]byte("-001"))
	limits := Limits{Updates: 3, Options: 2, OptionBytes: 10, Shallows: 2}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := readPush(pktline.NewReader(bytes.NewReader(data)), limits)
		if err != nil {
			return
		}
		if len(request.updates) > limits.Updates || len(request.options) > limits.Options || len(request.shallow) > limits.Shallows {
			t.Fatalf("limits are exceeded: %+v", request)
		}
	})
}
