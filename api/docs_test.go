package api_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var curlPattern = regexp.MustCompile(`<pre><code>(curl(?s:.*?))</code></pre>`)

// TestDocsPage: the page has every operation, who may do it, and an example whose
// body the document allows; it needs no script and nothing from elsewhere.
func TestDocsPage(t *testing.T) {
	s := newSite(t)
	got := s.ask(t, "", http.MethodGet, "/api/docs", "")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Contains(t, got.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")
	require.NotContains(t, got.text, "<script")
	require.NotContains(t, got.text, "ZgotmplZ", "the template refused a value")
	require.NotRegexp(t, `(src|href)="(https?:)?//`, got.text)
	articles := strings.Split(got.text, "<article>")[1:]
	routes := s.everything(t)
	require.Len(t, articles, len(routes))
	for _, r := range routes {
		article := ""
		for _, candidate := range articles {
			if strings.Contains(candidate, `<h3 id="`+r.id+`">`) {
				article = html.UnescapeString(candidate)
			}
		}
		require.NotEmpty(t, article, r.id)
		require.Contains(t, article, "<code>"+r.path+"</code>", r.id)
		require.Contains(t, article, "Who may:", r.id)
		curl := curlPattern.FindStringSubmatch(article)
		require.NotNil(t, curl, r.id)
		require.NotContains(t, curl[1], "{app}", r.id)
		if schema := r.bodySchema(); schema != nil {
			_, text, ok := strings.Cut(curl[1], "--json '")
			require.True(t, ok, r.id)
			var body any
			require.NoError(t, json.Unmarshal([]byte(strings.TrimSuffix(text, "'")), &body), "%s: %s", r.id, text)
			require.Empty(t, r.misfit(schema, body, "body"), "%s: %s", r.id, text)
		}
	}
}
