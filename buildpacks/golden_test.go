package buildpacks

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// repo is a commit's files, by name.
type repo map[string]string

func (r repo) fs() fs.FS {
	files := fstest.MapFS{}
	for name, text := range r {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return files
}

const (
	nodeMain  = `console.log("hello")`
	goMain    = "package main\n\nfunc main() {}\n"
	flaskMain = "from flask import Flask\napp = Flask(__name__)\n"
)

// TestGoldenDockerfiles holds every kind of repository against the Dockerfile
// that we want for it. `go test ./buildpacks -update` writes them anew.
func TestGoldenDockerfiles(t *testing.T) {
	checkGoldens(t, map[string]goldenCase{})
}

// goldenCase is a repository and what its plan is to be.
type goldenCase struct {
	files   repo
	options Options
	images  Images
	web     []string
	reasons string
}

// checkGoldens plans each case and compares its Dockerfile with the golden file
// of its name.
func checkGoldens(t *testing.T, cases map[string]goldenCase) {
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := Detect(test.files.fs(), test.options)
			require.NoError(t, err)
			require.Equal(t, test.web, plan.Processes[models.WebProcess])
			require.Equal(t, test.reasons, strings.Join(plan.Reasons, "; "))
			test.images.Build, test.images.Run = "build:1", "run:1"
			golden(t, name, plan.Render(test.images))
		})
	}
}

// golden compares got with testdata/name.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test ./buildpacks -update")
	require.Equal(t, string(want), got)
}

// requireRefusal holds a repository that cannot be built to the words that its
// owner gets.
func requireRefusal(t *testing.T, files repo, options Options, message, remedy string) {
	t.Helper()
	_, err := Detect(files.fs(), options)
	refused := models.AsError(err)
	require.NotNil(t, refused, "%v", err)
	require.Equal(t, models.Failed, refused.Code)
	require.Contains(t, refused.Message, message)
	require.Contains(t, refused.Remedy, remedy)
}

// requireNeed holds a repository to the Runtime that its plan asks for.
func requireNeed(t *testing.T, files repo, want Requirement) {
	t.Helper()
	plan, err := Detect(files.fs(), Options{})
	require.NoError(t, err)
	require.Equal(t, want, *plan.Need)
}
