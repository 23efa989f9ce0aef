package github

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// say runs one line of a transcript.
func say(t *testing.T, h *Host, text string) string {
	t.Helper()
	output, err := h.Command(strings.Fields(text))
	require.NoError(t, err, text)
	return strings.TrimSpace(output)
}

func TestTranscriptWords(t *testing.T) {
	h := Start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("hi"), 0o644))
	say(t, h, "user acme")
	say(t, h, "repo acme/shop private")
	sha := say(t, h, "push acme/shop main "+dir+" first")
	require.Equal(t, sha, say(t, h, "head acme/shop main"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("ho"), 0o644))
	say(t, h, "push acme/shop topic "+dir+" second by=bob")
	require.Equal(t, "1", say(t, h, "pull open acme/shop topic main Topic"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more"), []byte("more"), 0o644))
	say(t, h, "pull sync acme/shop 1 "+dir+" third")
	say(t, h, "pull close acme/shop 1")
	require.Empty(t, say(t, h, "deliveries"))
	require.Contains(t, say(t, h, ""), "push REPO BRANCH DIR MESSAGE")
	_, err := h.Command([]string{"push", "acme/shop"})
	require.ErrorContains(t, err, "usage")
}

func TestControlDoor(t *testing.T) {
	h := Start(t)
	body, err := json.Marshal([]string{"token", "acme", "repo"})
	require.NoError(t, err)
	response, err := http.Post(h.URL+controlPath, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, h.Tokens("acme"), strings.Fields(string(text)))
}
