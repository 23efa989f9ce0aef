package gitserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver"
)

func TestHTTPAnswers(t *testing.T) {
	f := newFixture(t)
	f.app("demo")
	f.app("secret")
	f.receiver.forbidden["secret"] = true
	const refs, push = "/info/refs?service=git-receive-pack", "application/x-git-receive-pack-request"
	for _, c := range []struct {
		name, method, path, token, kind string
		want                            int
	}{
		{"no token", "GET", "/demo.git" + refs, "", "", 401},
		{"wrong token", "GET", "/demo.git" + refs, "x", "", 401},
		{"token in the query", "GET", "/demo.git" + refs + "&token=" + testToken, "", "", 401}, // G4
		{"missing app", "GET", "/nothing.git" + refs, testToken, "", 404},
		{"foreign app", "GET", "/secret.git" + refs, testToken, "", 404},
		{"traversal", "GET", "/..%2f..%2fdemo.git" + refs, testToken, "", 404},
		{"dumb protocol", "GET", "/demo.git/info/refs", testToken, "", 403},
		{"other service", "GET", "/demo.git/info/refs?service=git-upload-archive", testToken, "", 403},
		{"file", "GET", "/demo.git/HEAD", testToken, "", 404},
		{"get of a program", "GET", "/demo.git/git-receive-pack", testToken, push, 405},
		{"content type", "POST", "/demo.git/git-receive-pack", testToken, "text/plain", 415},
		{"advertisement", "GET", "/demo.git" + refs, testToken, "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), c.method, f.web.URL+c.path, nil)
			require.NoError(t, err)
			if c.token != "" {
				request.SetBasicAuth("any", c.token)
			}
			request.Header.Set("Content-Type", c.kind)
			answer, err := f.web.Client().Do(request)
			require.NoError(t, err)
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			assert.Equal(t, c.want, answer.StatusCode, string(body))
			assert.NotContains(t, string(body), "secret")
			if c.want == 401 {
				assert.Contains(t, answer.Header.Get("WWW-Authenticate"), "Basic")
			}
		})
	}
	assert.Zero(t, f.receiver.received())
}

func TestGitPath(t *testing.T) {
	for path, want := range map[string]bool{
		"/app.git/info/refs": true, "/app.git/git-upload-pack": true, "/app.git/git-receive-pack": true,
		"/app.git": false, "/a/b.git/info/refs": false, "/api/v1/apps": false, "/app.git/objects/00/11": false, "/.git/info/refs": false,
	} {
		assert.Equal(t, want, gitserver.GitPath(path), path)
	}
}

func TestHTTPTakesLargeCompressedBodies(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.commit(dir, "big", strings.Repeat("0123456789", 300_000))
	f.git(dir, "-c", "http.postBuffer=1024", "push", "-q", f.httpURL("demo"), "main")
	f.sound(app)
}
