package platform

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	good := candidate{Commit: oid(1), Message: "change", Auto: true, Changed: []string{"a"}}
	for name, test := range map[string]struct {
		spoil   func(*candidate)
		outcome models.Outcome
		reason  string
	}{
		"deployed":               {func(*candidate) {}, models.OutcomeDeployed, ""},
		"live":                   {func(c *candidate) { c.Live = "v7" }, models.OutcomeDuplicate, "live already, as v7"},
		"running":                {func(c *candidate) { c.Running = 9 }, models.OutcomeDuplicate, "build #9"},
		"decided":                {func(c *candidate) { c.Decided = true }, models.OutcomeDuplicate, "decided on before"},
		"off":                    {func(c *candidate) { c.Auto = false }, models.OutcomeOff, "sky github deploy"},
		"skipped":                {func(c *candidate) { c.Message = "x [skip ci]" }, models.OutcomeSkipped, "asks for no deployment"},
		"filtered":               {func(c *candidate) { c.Paths = []string{"web/**"} }, models.OutcomeFiltered, "none of 1 changed files"},
		"let through":            {func(c *candidate) { c.Paths = []string{"a"} }, models.OutcomeDeployed, ""},
		"live rather than off":   {func(c *candidate) { c.Live, c.Auto = "v7", false }, models.OutcomeDuplicate, "v7"},
		"off rather than skip":   {func(c *candidate) { c.Auto, c.Message = false, "[ci skip]" }, models.OutcomeOff, ""},
		"skip rather than paths": {func(c *candidate) { c.Message, c.Paths = "[no ci]", []string{"b"} }, models.OutcomeSkipped, ""},
	} {
		c := good
		test.spoil(&c)
		verdict := judge(c)
		require.Equal(t, test.outcome, verdict.Outcome, name)
		require.Contains(t, verdict.Reason, test.reason, name)
	}
}

func TestTouches(t *testing.T) {
	for _, test := range []struct {
		patterns, changed []string
		touches           bool
	}{
		{nil, nil, true},
		{nil, []string{"a"}, true},
		{[]string{"web/**"}, nil, false},
		{[]string{"web/**"}, []string{"web/a/b.js"}, true},
		{[]string{"web"}, []string{"web/a/b.js"}, true},
		{[]string{"web/**"}, []string{"website/a"}, false},
		{[]string{"*.go"}, []string{"a.go"}, true},
		{[]string{"*.go"}, []string{"dir/a.go"}, false},
		{[]string{"**/*.go"}, []string{"dir/a.go"}, true},
		{[]string{"!docs/**"}, []string{"docs/a"}, false},
		{[]string{"!docs/**"}, []string{"docs/a", "b"}, true},
		{[]string{"!**/*.md", "!docs/**"}, []string{"README.md", "docs/x"}, false},
		{[]string{"web/**", "!web/**/*.md"}, []string{"web/x.md"}, false},
		{[]string{"web/**", "!web/**/*.md", "web/keep.md"}, []string{"web/keep.md"}, true},
		{[]string{"[a-"}, []string{"a"}, true},
		{[]string{"web/**"}, make([]string, maxChanged), true},
	} {
		require.Equal(t, test.touches, touches(test.patterns, test.changed[:min(len(test.changed), maxChanged)]), "%v of %.3v", test.patterns, test.changed)
	}
}

func TestSettle(t *testing.T) {
	pushes := func(commits ...string) (rows []models.WebhookDelivery) {
		for _, commit := range commits {
			rows = append(rows, models.WebhookDelivery{ID: models.NewID(), Commit: commit})
		}
		return rows
	}
	deployed, duplicate := judgement{Outcome: models.OutcomeDeployed}, judgement{Outcome: models.OutcomeDuplicate, Reason: "live already"}
	filtered := judgement{Outcome: models.OutcomeFiltered, Reason: "none"}
	for name, test := range map[string]struct {
		pushes  []models.WebhookDelivery
		verdict judgement
		wanted  []models.Outcome
	}{
		"nothing":                 {nil, deployed, nil},
		"the head":                {pushes(oid(1)), deployed, []models.Outcome{models.OutcomeDeployed}},
		"older ones":              {pushes(oid(3), oid(2), oid(1)), deployed, []models.Outcome{models.OutcomeSuperseded, models.OutcomeSuperseded, models.OutcomeDeployed}},
		"reordered":               {pushes(oid(1), oid(2)), deployed, []models.Outcome{models.OutcomeDeployed, models.OutcomeSuperseded}},
		"the head twice":          {pushes(oid(1), oid(1)), deployed, []models.Outcome{models.OutcomeDuplicate, models.OutcomeDeployed}},
		"news that nobody told":   {pushes(oid(3), oid(2)), deployed, []models.Outcome{models.OutcomeSuperseded, models.OutcomeDeployed}},
		"an old push":             {pushes(oid(2)), duplicate, []models.Outcome{models.OutcomeSuperseded}},
		"what is live":            {pushes(oid(2), oid(1)), duplicate, []models.Outcome{models.OutcomeSuperseded, models.OutcomeDuplicate}},
		"filtered":                {pushes(oid(2), oid(1)), filtered, []models.Outcome{models.OutcomeSuperseded, models.OutcomeFiltered}},
		"filtered, by nobody yet": {pushes(oid(2)), filtered, []models.Outcome{models.OutcomeFiltered}},
	} {
		settled := settle(test.pushes, oid(1), test.verdict)
		var outcomes []models.Outcome
		deployments := 0
		for i, row := range settled {
			outcomes = append(outcomes, row.Outcome)
			require.Equal(t, test.pushes[i].ID, row.ID, name)
			if row.Outcome == models.OutcomeDeployed {
				deployments++
			}
		}
		require.Equal(t, test.wanted, outcomes, name)
		require.LessOrEqual(t, deployments, 1, name)
		require.False(t, slices.ContainsFunc(test.pushes, func(row models.WebhookDelivery) bool { return row.Outcome != "" }), "its arguments stay as they are")
	}
}

func TestPauseAfter(t *testing.T) {
	coded := func(code models.Code) error { return models.Errorf(code, "x") }
	for _, test := range []struct {
		err     error
		attempt int
		pause   time.Duration
	}{
		{nil, 1, 0},
		{errors.New("disk"), 1, time.Second},
		{coded(models.Unavailable), 1, time.Second},
		{coded(models.Unavailable), 4, 8 * time.Second},
		{coded(models.Unavailable), 1000, maxTaskPause},
		{fmt.Errorf("step: %w", coded(models.Internal)), 2, 2 * time.Second},
		{coded(models.TooMany), 1, time.Second},
		{models.Wait(40*time.Minute, "limit"), 1, 40*time.Minute + time.Second},
		{models.Wait(40*time.Hour, "limit"), 9, time.Hour},
		{models.Wait(-time.Hour, "limit"), 1, 2 * time.Second},
		{coded(models.Unauthorized), 1, 0},
		{coded(models.Forbidden), 1, 0},
		{coded(models.NotFound), 1, 0},
		{coded(models.Invalid), 1, 0},
		{coded(models.Conflict), 1, 0},
	} {
		require.Equal(t, test.pause, pauseAfter(test.err, test.attempt), "%v, %d", test.err, test.attempt)
	}
}

func TestPathFiltersAreChecked(t *testing.T) {
	many := make([]string, maxPaths+1)
	for i := range many {
		many[i] = "a"
	}
	for _, wrong := range [][]string{{""}, {"!"}, {" "}, {"! "}, {"/etc"}, {"../x"}, {"a/../b"}, {" !docs"}, {"docs "}, {"a\x00b"}, {"a\nb"}, many} {
		require.True(t, models.IsCode(checkPaths(wrong), models.Invalid), "%.3q", wrong)
	}
	require.NoError(t, checkPaths([]string{"web/**", "!**/*.md", "a b/c"}))
}
