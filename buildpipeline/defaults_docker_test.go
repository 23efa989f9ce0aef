package buildpipeline

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestRuntimesCommands stand in for the buildpack's choice, and for nobody else's.
func TestRuntimesCommands(t *testing.T) {
	b := newBench(t)
	script := map[string]string{"main.py": "print(1)\n"}
	library := map[string]string{"requirements.txt": "", "lib.py": "x = 1\n"}
	withProcfile := map[string]string{"main.py": "", "Procfile": "web: python3 -u main.py\n"}
	for name, test := range map[string]struct {
		files   map[string]string
		options Options
		start   string // of the row
		want    []string
		fails   string
	}{
		"buildpack":         {script, Options{}, "", []string{"python", "main.py"}, ""},
		"row":               {script, Options{}, "python3 serve.py", []string{"python3", "serve.py"}, ""},
		"row for want":      {library, Options{}, "python3 serve.py", []string{"python3", "serve.py"}, ""},
		"nobody":            {library, Options{}, "", nil, "not how to start it"},
		"app before row":    {script, Options{StartCommand: "python3 own.py"}, "python3 serve.py", []string{"python3", "own.py"}, ""},
		"Procfile before":   {withProcfile, Options{}, "python3 serve.py", []string{"python3", "-u", "main.py"}, ""},
		"Dockerfile, never": {map[string]string{"Dockerfile": "FROM " + testBase}, Options{}, "python3 serve.py", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan, images, err := b.plan(t.Context(), Job{Files: commit(test.files), Options: test.options, Log: b.log, Runtimes: []models.Runtime{
				{Type: "python", Version: "3.11", Active: true, Default: true, StartCommand: test.start, BuildCommand: "touch /tmp/row"},
			}})
			if test.fails != "" {
				require.ErrorContains(t, err, test.fails)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, plan.Processes["web"])
			if plan.Render != nil {
				require.Contains(t, plan.Render(images), "touch /tmp/row")
			}
		})
	}
}

// TestRowsCommandBuildsNothingElse: what is served as a site stays one, whatever
// the row of the web server starts.
func TestRowsCommandBuildsNothingElse(t *testing.T) {
	require.Nil(t, startedByRow(Job{
		Files:    commit(map[string]string{"README": ""}),
		Runtimes: []models.Runtime{{Type: "node", Version: "22", Active: true, StartCommand: "node x.js"}},
	}, models.Errorf(models.Failed, "not recognised")))
}
