package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	keptDocument     = "openapi.json"
	promisedDocument = "testdata/openapi-baseline.json"
)

var update = flag.Bool("update", false, "write "+keptDocument)

// served is the OpenAPI document as a server gives it.
func served(t *testing.T) object {
	t.Helper()
	document := object{}
	got := newSite(t).ask(t, "", http.MethodGet, "/api/openapi.json", "")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.NoError(t, json.Unmarshal([]byte(got.text), &document))
	return document
}

// pretty writes a document the way it is kept: keys sorted, an indentation of two.
func pretty(t *testing.T, document object) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(document))
	return text.Bytes()
}

// TestDocumentIsKept: api/openapi.json is what this code serves.
func TestDocumentIsKept(t *testing.T) {
	text := pretty(t, served(t))
	if *update {
		require.NoError(t, os.WriteFile(keptDocument, text, 0o644))
	}
	kept, err := os.ReadFile(keptDocument)
	require.NoError(t, err)
	require.True(t, bytes.Equal(kept, text), "api/openapi.json is out of date: go test ./api -run TestDocumentIsKept -update")
}

// operations calls visit with every operation of a document.
func operations(document object, visit func(path, method string, operation object)) {
	for path, methods := range document["paths"].(object) {
		for method, operation := range methods.(object) {
			visit(path, method, operation.(object))
		}
	}
}

// TestDocumentReadsWell: what a reader needs is there, for every operation and
// every field.
func TestDocumentReadsWell(t *testing.T) {
	document := served(t)
	info := document["info"].(object)
	require.NotEmpty(t, info["description"])
	require.NotContains(t, info["version"], "test", "the document is that of no particular server")
	var described, used []string
	for _, tag := range document["tags"].([]any) {
		described = append(described, tag.(object)["name"].(string))
		require.NotEmpty(t, tag.(object)["description"])
	}
	operations(document, func(path, method string, operation object) {
		require.NotEmpty(t, operation["summary"], "%s %s", method, path)
		used = append(used, operation["tags"].([]any)[0].(string))
		refused, ok := operation["responses"].(object)["default"].(object)
		require.True(t, ok, "%s %s describes no errors", method, path)
		require.Contains(t, refused["description"], "A problem: ", "%s %s", method, path)
		parameters, _ := operation["parameters"].([]any)
		for _, parameter := range parameters {
			require.NotEmpty(t, parameter.(object)["description"], "%s %s: %s", method, path, parameter.(object)["name"])
		}
	})
	for name, schema := range document["components"].(object)["schemas"].(object) {
		properties, _ := schema.(object)["properties"].(object)
		for field, described := range properties {
			described := described.(object)
			if described["$ref"] == nil && described["examples"] == nil {
				require.NotEmpty(t, described["description"], "%s.%s needs a doc tag", name, field)
			}
		}
	}
	slices.Sort(used)
	slices.Sort(described)
	require.Equal(t, slices.Compact(used), described)
}

// breaking returns what a client of one document could trip over in another.
func breaking(t *testing.T, before, after string) (string, bool) {
	t.Helper()
	found, kept := oasdiff(t, before, after)
	lost := lostFields(t, before, after)
	return found + strings.Join(lost, "\n"), kept && len(lost) == 0
}

// lostFields lists the fields of schemas that the other document lacks: oasdiff
// minds those of answers only where they are required.
func lostFields(t *testing.T, before, after string) []string {
	t.Helper()
	fields := func(path string) map[string]bool {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		document := object{}
		require.NoError(t, json.Unmarshal(text, &document))
		found := map[string]bool{}
		for name, schema := range document["components"].(object)["schemas"].(object) {
			properties, _ := schema.(object)["properties"].(object)
			for field := range properties {
				found[name+"."+field] = true
			}
		}
		return found
	}
	has := fields(after)
	var lost []string
	for field := range fields(before) {
		if !has[field] {
			lost = append(lost, field+" is gone")
		}
	}
	return lost
}

// oasdiff compares two documents by the tool of that name.
func oasdiff(t *testing.T, before, after string) (string, bool) {
	t.Helper()
	program := os.Getenv("SKY_TEST_OASDIFF")
	if program == "" {
		t.Skip("scripts/test.sh builds oasdiff and names it in SKY_TEST_OASDIFF")
	}
	output, err := exec.CommandContext(t.Context(), program, "breaking", "--fail-on", "WARN", before, after).CombinedOutput()
	return string(output), err == nil
}

// TestNothingPromisedBreaks: clients of the last release go on working.
func TestNothingPromisedBreaks(t *testing.T) {
	found, kept := breaking(t, promisedDocument, keptDocument)
	require.True(t, kept, found)
}

// TestBreakingChangesAreFound doctors the document: the gate bites.
func TestBreakingChangesAreFound(t *testing.T) {
	for name, change := range map[string]struct{ pattern, replacement string }{
		"a path is gone":              {`"/api/paas/regions"`, `"/api/paas/places"`},
		"a method is gone":            {`"delete": {(\s+"operationId": "destroy-app")`, `"put": {$1`},
		"a field is gone":             {`"deploy_branch"`, `"branch"`},
		"an optional field is gone":   {`"runtime": {`, `"language": {`},
		"a field has another type":    {`("cpu_millis": {\s+"description": "[^"]*",\s+"examples": \[\s+1000\s+\],\s+"format": "int64",\s+"type": )"integer"`, `$1"string"`},
		"a value is refused":          {`"billing",\s+"admin"`, `"admin"`},
		"a parameter has another one": {`"name": "confirm"`, `"name": "sure"`},
		"a new field is required":     {`("required": \[)(\s+"public_key")`, `$1 "name", $2`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(keptDocument)
			require.NoError(t, err)
			doctored := regexp.MustCompile(change.pattern).ReplaceAll(text, []byte(change.replacement))
			require.NotEqual(t, string(text), string(doctored), "nothing was changed")
			path := filepath.Join(t.TempDir(), "doctored.json")
			require.NoError(t, os.WriteFile(path, doctored, 0o600))
			found, kept := breaking(t, keptDocument, path)
			require.False(t, kept, found)
			t.Log(found)
		})
	}
	_, kept := breaking(t, keptDocument, keptDocument)
	require.True(t, kept)
}
