package buildpipeline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRustEditIsSeen: Cargo compares times, which an edit of a commit does not
// move, while target/ outlives the build. Going back must be seen as well.
func TestRustEditIsSeen(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	b := newBench(t)
	for _, word := range []string{"first", "other", "first"} {
		b.number++
		result, err := b.Build(t.Context(), Job{
			App: b.models().Name, AppID: b.app, Number: b.number, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(),
			Files: commit(map[string]string{
				"Cargo.toml":  "[package]\nname = \"word\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
				"src/main.rs": "fn main() { print!(\"" + word + "\"); }\n",
			}),
		})
		require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
		require.Equal(t, word, b.run(t, result.Image, "/app/bin/word"))
	}
}
