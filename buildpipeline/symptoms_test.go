package buildpipeline

import (
	"errors"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestDiagnose explains the lines that package managers print; apps of
// testdata/apps hold the common ones against the real ones.
func TestDiagnose(t *testing.T) {
	for line, want := range map[string]string{
		"npm error `npm ci` can only install packages when your package.json and package-lock.json or": "package-lock.json does not match package.json",
		"error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.":          "yarn.lock does not match package.json",
		"➤ YN0028: │ The lockfile would have been modified by this install":                            "yarn.lock does not match package.json",
		" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install":                                                  "pnpm-lock.yaml does not match package.json",
		"error: lockfile had changes, but lockfile is frozen":                                          "bun.lock does not match package.json",
		"npm error notarget No matching version found for pnpm@9.99.99.":                               "npm's registry has no pnpm@9.99.99",
		"npm error Failed to replace env in config: ${NPM_TOKEN}":                                      ".npmrc needs the variable NPM_TOKEN, which is not set",
		"ERROR: No matching distribution found for flask==99.0":                                        "PyPI has no flask==99.0 for this version of Python",
	} {
		found := diagnose(line)
		require.NotNil(t, found, line)
		require.Equal(t, want, found.Message)
		require.NotEmpty(t, found.Remedy)
	}
	require.Nil(t, diagnose("added 1 package in 1s"))
}

// TestExplainNamesTheCause prefers what the failing step said to its exit code,
// even where much else follows.
func TestExplainNamesTheCause(t *testing.T) {
	p := newProgress(&memory{})
	p.add(&client.SolveStatus{Logs: []*client.VertexLog{output(runStep, "ERR_PNPM_OUTDATED_LOCKFILE\n")}})
	for range tailLines {
		p.add(&client.SolveStatus{Logs: []*client.VertexLog{output(runStep, "usage\n")}})
	}
	p.add(&client.SolveStatus{Vertexes: []*client.Vertex{step(runStep, "x", false)}})
	err := models.AsError(p.explain(t.Context(), errors.New("exit code: 1")))
	require.Equal(t, "pnpm-lock.yaml does not match package.json", err.Message)
	require.Equal(t, "run `pnpm install` and commit pnpm-lock.yaml", err.Remedy)
}
