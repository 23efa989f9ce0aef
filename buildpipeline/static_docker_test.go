package buildpipeline

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStaticAnswers asks for what only a browser asks: compressed files, and
// whether what it has is still the same. An edit that keeps a page's size, in a
// commit whose files all have the same second, must change its ETag.
func TestStaticAnswers(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	b := newBench(t)
	pad := strings.Repeat("<p>again and again", 100)
	var tags []string
	for _, word := range []string{"first", "other"} {
		b.number++
		result, err := b.Build(t.Context(), Job{
			App: b.models().Name, AppID: b.app, Number: b.number, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(),
			Files: commit(map[string]string{"index.html": word + pad}),
		})
		require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
		site := b.serve(t, result, nil)
		site.get(t, expectedAnswer{path: "/", text: word, status: http.StatusOK})
		for _, encoding := range []string{"br", "gzip"} {
			response := site.ask(t, http.Header{"Accept-Encoding": {encoding}})
			require.Equal(t, encoding, response.Header.Get("Content-Encoding"))
			require.Equal(t, "Accept-Encoding", response.Header.Get("Vary"))
			require.Contains(t, response.Header.Get("Content-Type"), "text/html")
		}
		plain := site.ask(t, http.Header{"Accept-Encoding": {"identity"}})
		require.Equal(t, "text/html; charset=utf-8", plain.Header.Get("Content-Type"))
		tags = append(tags, plain.Header.Get("ETag"))
		same := site.ask(t, http.Header{"Accept-Encoding": {"identity"}, "If-None-Match": {plain.Header.Get("ETag")}})
		require.Equal(t, http.StatusNotModified, same.StatusCode)
	}
	require.NotEmpty(t, tags[0])
	require.NotEqual(t, tags[0], tags[1])
}

// ask requests the first page with a header.
func (l liveApp) ask(t *testing.T, header http.Header) *http.Response {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.address, nil)
	require.NoError(t, err)
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response
}
