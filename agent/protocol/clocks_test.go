package protocol

import (
	"testing"
	"time"
)

func TestTimesAreThoseOfWhoReads(t *testing.T) {
	now := time.Now()
	began := now.Add(-time.Minute)
	for name, test := range map[string]struct{ skew, want time.Duration }{
		"an hour ahead":     {time.Hour, 0},
		"an hour behind":    {-time.Hour, 0},
		"a little off":      {time.Second, time.Second},
		"a little too much": {-6 * time.Second, 0},
	} {
		said := Observed{At: now.Add(test.skew), Instances: []InstanceStatus{{Since: began.Add(test.skew)}, {}}}
		read := said.ByClock(now)
		if got := read.Instances[0].Since.Sub(began); got != test.want {
			t.Errorf("%s: off by %s, want %s", name, got, test.want)
		}
		if !read.Instances[1].Since.IsZero() {
			t.Errorf("%s: what has no time got one", name)
		}
		if !said.Instances[0].Since.Equal(began.Add(test.skew)) {
			t.Errorf("%s: what was said changed", name)
		}
	}
	unsaid := Observed{Instances: []InstanceStatus{{Since: began.Add(time.Hour)}}}.ByClock(now)
	if !unsaid.Instances[0].Since.Equal(began.Add(time.Hour)) {
		t.Error("an agent that does not tell its clock was corrected")
	}
}
