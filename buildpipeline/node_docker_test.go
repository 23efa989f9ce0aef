package buildpipeline

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestNodeWorkspaces builds what installs from the repository itself, and needs
// no network: what postinstall writes is part of the app, dev tools are not.
func TestNodeWorkspaces(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	b := newBench(t)
	if !b.HasImage(t.Context(), "sky-stack/node-build:22") {
		t.Skip("sky-stack/node-build:22 is missing: run `sky stack node:22`")
	}
	b.number++
	result, err := b.Build(t.Context(), Job{
		App: "test-" + b.app.String()[24:], AppID: b.app, Number: b.number, Log: b.log,
		Runtimes: []models.Runtime{{Type: "node", Version: "22", Default: true, Active: true}},
		Files: commit(map[string]string{
			"package.json":              `{"name": "top", "workspaces": ["packages/*"], "scripts": {"postinstall": "echo made > made.txt", "build": "cat made.txt > built.txt", "start": "node start.js"}}`,
			"packages/one/package.json": `{"name": "one", "version": "1.0.0"}`,
			"packages/one/index.js":     `module.exports = "one"`,
			"start.js":                  `console.log(require("one") + " " + require("fs").readFileSync("built.txt", "utf8").trim())`,
			"Procfile":                  "web: node start.js\n",
		}),
	})
	require.NoError(t, err, "%v", b.log.said)
	require.Equal(t, "one made\n", b.run(t, result.Image, result.Plan.Processes["web"]...))
}
