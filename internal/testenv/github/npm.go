package github

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The npm packages with what GitHub publishes of itself.
const (
	descriptionPackage = "@octokit/openapi@23.0.2"
	examplesPackage    = "@octokit/webhooks-examples@7.6.1"
)

// WebhookExample is one payload that GitHub published.
type WebhookExample struct {
	Event   string
	Payload json.RawMessage
}

// WebhookExamples returns the payloads of github.com that GitHub publishes on
// npm, 329 of them. Where npm cannot be reached the test is skipped, or fails
// where SKY_TEST_NPM is "required".
func WebhookExamples(t testing.TB) []WebhookExample {
	t.Helper()
	var events []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(published(t, examplesPackage, "package/api.github.com/index.json"), &events); err != nil {
		t.Fatal(err)
	}
	var found []WebhookExample
	for _, event := range events {
		for _, example := range event.Examples {
			found = append(found, WebhookExample{Event: event.Name, Payload: example})
		}
	}
	return found
}

// Description returns GitHub's OpenAPI description of GitHub Enterprise Server,
// under the rules of WebhookExamples.
func Description(t testing.TB) []byte {
	t.Helper()
	return published(t, descriptionPackage, "package/generated/ghes-3.19.json")
}

// published is a file of an npm package, which is kept in the user's cache.
func published(t testing.TB, name, file string) []byte {
	t.Helper()
	kept, err := packed(name, file)
	if err != nil {
		if os.Getenv("SKY_TEST_NPM") != "required" {
			t.Skipf("npm cannot be reached: %v", err)
		}
		t.Fatal(err)
	}
	content, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// packed fetches a package at a version, once, and returns where the file of it
// is: the archive is far larger.
func packed(name, file string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "sky-test-npm")
	kept := filepath.Join(dir, filepath.Base(name)+"-"+filepath.Base(file))
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(dir, "pack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if output, err := exec.Command("npm", "pack", "--silent", "--pack-destination", fresh, name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s", name, err, output)
	}
	made, err := filepath.Glob(filepath.Join(fresh, "*.tgz"))
	if err != nil || len(made) != 1 {
		return "", errors.Join(fmt.Errorf("npm pack %s left %d archives", name, len(made)), err)
	}
	unpacked := filepath.Join(fresh, "unpacked")
	if err := unpack(made[0], file, unpacked); err != nil {
		return "", err
	}
	return kept, os.Rename(unpacked, kept)
}

// unpack writes one file of an archive to another place.
func unpack(archive, name, to string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return fmt.Errorf("%s has no %s: %w", archive, name, err)
		}
		if header.Name != name {
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return fmt.Errorf("unpack %s of %s: %w", name, archive, err)
		}
		return os.WriteFile(to, content, 0o644)
	}
}
