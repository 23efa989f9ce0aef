package buildpipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// listed are small apps with a dependency each, and what their images must name.
var listed = map[string]struct {
	runtime models.Runtime
	files   map[string]string
	want    []string
}{
	"node": {models.Runtime{Type: "node", Version: "22"}, map[string]string{
		"package.json": `{"name": "listed", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, "scripts": {"start": "node index.js"}}`,
		"index.js":     "console.log(require('ms')(1000))\n",
	}, []string{"pkg:npm/ms@2.1.3", "pkg:generic/node@22.", "pkg:deb/debian/base-files@"}},
	"python": {models.Runtime{Type: "python", Version: "3.11"}, map[string]string{
		"requirements.txt": "itsdangerous==2.2.0\n", "main.py": "import itsdangerous\n",
	}, []string{"pkg:pypi/itsdangerous@2.2.0", "pkg:deb/debian/python3.11"}},
	"go": {models.Runtime{Type: "go", Version: "1.26"}, map[string]string{
		"go.mod":  "module example.com/listed\n\ngo 1.26\n\nrequire github.com/joho/godotenv v1.5.1\n",
		"go.sum":  "github.com/joho/godotenv v1.5.1 h1:7eLL/+HRGLY0ldzfGMeQkb7vMd0as4CfYvUVzLqw0N0=\ngithub.com/joho/godotenv v1.5.1/go.mod h1:f4LDr5Voq0i2e/R5DDNOoa2zzDfwtkZa6DnEwAbqwq4=\n",
		"main.go": "package main\n\nimport \"github.com/joho/godotenv\"\n\nfunc main() { _ = godotenv.Load() }\n",
	}, []string{"pkg:golang/github.com/joho/godotenv@v1.5.1", "pkg:golang/stdlib@1.26"}},
}

// TestPackages looks into real images of three languages.
func TestPackages(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/apps.sh runs this without the detector")
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		t.Run(name, func(t *testing.T) {
			test := listed[name]
			b := newBench(t)
			test.runtime.Active, test.runtime.Default = true, true
			result, err := b.Build(t.Context(), Job{
				App: b.models().Name, AppID: b.app, Number: 1, Commit: "c0ffee", Files: commit(test.files), Log: b.log, Runtimes: []models.Runtime{test.runtime},
			})
			require.NoError(t, err, "%v", b.log.said)
			document := cdx.BOM{}
			text, err := b.Packages(t.Context(), b.models(), result.Image)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &document))
			require.Equal(t, result.Image, document.Metadata.Component.Version)
			require.Equal(t, "debian", (*document.Components)[0].Name)
			require.Empty(t, document.Metadata.Properties, "files that could not be read")
			for _, want := range test.want {
				require.True(t, slices.ContainsFunc(*document.Components, func(c cdx.Component) bool {
					return strings.HasPrefix(c.PackageURL, want)
				}), "%s is missing in %s", want, text)
			}
			again, err := b.Packages(t.Context(), b.models(), result.Image)
			require.NoError(t, err)
			require.Equal(t, string(text), string(again))
			t.Logf("%d packages, %d bytes", len(*document.Components), len(text))
		})
	}
}

// TestPackagesLeaveNothing behind, and say of an image that is gone that it is.
func TestPackagesLeaveNothing(t *testing.T) {
	b := newBench(t)
	result, err := b.build(t.Context(), map[string]string{"Dockerfile": catDockerfile, "word": "packages"})
	require.NoError(t, err)
	_, err = b.Packages(t.Context(), b.models(), result.Image)
	require.NoError(t, err)
	own := filters.NewArgs(filters.Arg("label", labelLooking), filters.Arg("ancestor", result.Image))
	left, err := b.docker.ContainerList(t.Context(), container.ListOptions{All: true, Filters: own})
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, b.forgetLooks(t.Context()))
	_, err = b.Packages(t.Context(), b.models(), "sha256:"+strings.Repeat("0", 64))
	require.True(t, models.IsCode(err, models.NotFound))
}
