package platform

import (
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// FuzzImageReference: what is accepted as an image cannot be taken for an option
// or for two words, and names no other host where custom images are off.
func FuzzImageReference(f *testing.F) {
	for _, seed := range []string{
		"node:22-bookworm", "sky-stack/node:22", "library/node", "registry.example.com:5000/a/b:c", "a@sha256:" + strings.Repeat("0", 64), "-v", "--privileged", "a b", "a\nb",
		"a;id", "A:b", "a//b", "a/../b", "a:", "@sha256:", "127.0.0.1/a", "a:" + strings.Repeat("b", 129), "", strings.Repeat("a/", 200) + "a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, image string) {
		err := checkImage(models.Runtime{Type: "node"}, "build_image", image, Options{CustomImages: true})
		if err != nil {
			require.Equal(t, "build_image", models.AsError(err).Field)
			require.Error(t, checkImage(models.Runtime{Type: "node"}, "build_image", image, Options{}))
			return
		}
		require.LessOrEqual(t, len(image), 255)
		require.Regexp(t, `^[a-z0-9][A-Za-z0-9._:@/-]*$`, image)
		if checkImage(models.Runtime{Type: "node"}, "build_image", image, Options{}) == nil {
			require.True(t, !strings.Contains(image, "/") || strings.HasPrefix(image, "sky-stack/") || strings.HasPrefix(image, "library/"))
		}
	})
}
