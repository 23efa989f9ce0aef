package buildpacks

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestStaticDockerfiles(t *testing.T) {
	checkGoldens(t, map[string]goldenCase{
		"static-root": {files: repo{"index.html": "<p>"}, web: staticCommand(), reasons: "index.html"},
		"static-public": {
			files: repo{"public/index.html": "<p>", "README.md": ""}, web: staticCommand(),
			reasons: "public/index.html; web root: public",
		},
		"static-rules": {
			files: repo{
				"Staticfile":       "# ours\nroot: site/\npushstate: enabled\n",
				"site/index.html":  "<p>",
				"site/_redirects":  "/a/:b/* /c/:splat?b=:b 302!\n/d%20e https://x.example:80/f#g\n/old/ /old\n/h /i 307\n/j/* /k 404\n/l /m?n=$o 200\n",
				"site/_headers":    "/*\n  X-A: \"1\" $2\n  Cache-Control: no-store\n/b\n  ! X-A\n  Content-Type: text/x-b\n",
				"other/index.html": "",
			},
			web: staticCommand(), reasons: "Staticfile; rules of _redirects; rules of _headers; other paths get index.html; web root: site",
		},
		"static-command": {
			files:   repo{"static.json": `{"root": "out/", "routes": {"/**": "index.html"}}`},
			options: Options{BuildCommand: "./make"},
			web:     staticCommand(), reasons: "static.json; other paths get index.html; web root: out",
		},
	})
}

// TestStaticRefusals are the lines that Sky cannot do, each told with its number.
func TestStaticRefusals(t *testing.T) {
	for text, message := range map[string]string{
		"/a /b 302 Language=de":           `"Language=de" is not supported`,
		"/a\n":                            "/a has no target",
		"a /b":                            `"a" is no path`,
		"https://x.example/a /b":          "is no path",
		"/a id=:id /b":                    "rules on query parameters are not supported",
		"/a /b 418":                       "status 418 is none of",
		"/a https://x.example 200":        "nothing is proxied",
		"/a/*/b /c":                       "an asterisk stands at the end",
		"/%zz /c":                         "percent-encoded",
		"/a /%zz 200":                     "percent-encoded",
		"/:a/:b/:c/:d/:e/:f/:g/:h/:i/* /": "more than nine placeholders",
	} {
		_, err := parseRedirects("_redirects", "\n# first\n"+text)
		require.ErrorContains(t, err, "_redirects line 3: ", text)
		require.ErrorContains(t, err, message, text)
		require.Equal(t, models.Failed, models.CodeOf(err))
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
	for text, message := range map[string]string{
		"X-A: b":                        "X-A stands before any path",
		"/a\nX-A b":                     `there is no colon in "X-A b"`,
		"/a\nX A: b":                    `"X A" cannot name a header`,
		"/a\nContent-Length: 1":         "Content-Length cannot be set here",
		"/a\nBasic-Auth: me:secret":     "Basic-Auth cannot be set here",
		"https://x.example/*\n  X-A: b": "is a whole URL",
		"/a*b\n":                        "an asterisk stands at the end",
	} {
		_, err := parseHeaders("_headers", text)
		require.ErrorContains(t, err, message, text)
		require.ErrorContains(t, err, "_headers line ", text)
	}
}
