package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// document is what these tests read of OpenAPI 3.1.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string                     `json:"operationId"`
		Summary     string                     `json:"summary"`
		Security    []map[string][]string      `json:"security"`
		Responses   map[string]json.RawMessage `json:"responses"`
		Parameters  []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

func (s *site) document(t *testing.T) (document, string) {
	t.Helper()
	got := s.ask(t, "", http.MethodGet, "/api/openapi.json", "")
	require.Equal(t, http.StatusOK, got.StatusCode)
	parsed := document{}
	require.NoError(t, json.Unmarshal([]byte(got.text), &parsed))
	return parsed, got.text
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// TestOpenAPIIsWhole: every reference leads somewhere, every path parameter is
// described, every operation has a name of its own.
func TestOpenAPIIsWhole(t *testing.T) {
	s := newSite(t)
	parsed, text := s.document(t)
	require.Equal(t, "3.1.0", parsed.OpenAPI)
	seen := map[string]bool{}
	for path, operations := range parsed.Paths {
		for method, operation := range operations {
			require.NotEmpty(t, operation.Summary, "%s %s", method, path)
			require.False(t, seen[operation.OperationID], operation.OperationID)
			seen[operation.OperationID] = true
			described := map[string]bool{}
			for _, given := range operation.Parameters {
				described[given.In+" "+given.Name] = true
			}
			for _, match := range parameter.FindAllStringSubmatch(path, -1) {
				require.True(t, described["path "+match[1]], "%s of %s", match[1], path)
			}
			require.Contains(t, operation.Responses, "default", operation.OperationID)
		}
	}
	require.Greater(t, len(seen), 20)
	for _, match := range regexp.MustCompile(`"\$ref":"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1) {
		require.Contains(t, parsed.Components.Schemas, match[1])
	}
}

// openOperations are for whoever has a password or a one-time link.
var openOperations = []string{"create-session", "setup", "use-password-link", "sign-up"}

// TestEveryRouteNeedsAToken walks the document, so that no route is forgotten.
func TestEveryRouteNeedsAToken(t *testing.T) {
	s := newSite(t)
	parsed, _ := s.document(t)
	asked := 0
	for path, operations := range parsed.Paths {
		concrete := strings.ReplaceAll(parameter.ReplaceAllString(path, "1"), "{app}", "shop")
		for method, operation := range operations {
			if slices.Contains(openOperations, operation.OperationID) {
				require.Empty(t, operation.Security)
				continue
			}
			body := ""
			if method != "get" && method != "delete" {
				body = `{"token": "sky_pat_no"}`
			}
			if operation.OperationID == "certify-node" { // which looks at its body first
				body = `{"request": "none"}`
			}
			for _, token := range []string{"", "sky_pat_nonsense", s.admin + "x"} {
				got := s.ask(t, token, strings.ToUpper(method), concrete, body)
				require.Equal(t, http.StatusUnauthorized, got.StatusCode, "%s %s: %s", method, path, got.text)
				require.Equal(t, "unauthorized", got.problem(t).Code)
				asked++
			}
			internal := strings.HasPrefix(path, "/api/internal/")
			require.Equal(t, !internal, len(operation.Security) == 2, "%s %s: a token or a session", method, path)
		}
	}
	require.Greater(t, asked, 60)
}

const canary = "hunter2-canary"

// TestRefusedInput: the answer names the field and never repeats the value.
func TestRefusedInput(t *testing.T) {
	s := newSite(t)
	_, err := s.client.CreateApp(t.Context(), v1.NewApp{Name: "shop"})
	require.NoError(t, err)
	const apps, shop = "/api/paas/applications", "/api/paas/applications/shop"
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		field              string
	}{
		"unknown field":        {"POST", apps, `{"name": "x", "hunter": "` + canary + `"}`, 422, "hunter"},
		"missing field":        {"POST", apps, `{}`, 422, "body"},
		"wrong type":           {"POST", apps, `{"name": ["` + canary + `"]}`, 422, "name"},
		"no JSON":              {"POST", apps, `{"name": "` + canary, 400, "body"},
		"no body":              {"POST", apps, ``, 400, ""},
		"a list":               {"POST", apps, `["` + canary + `"]`, 422, "body"},
		"env of wrong type":    {"PATCH", shop + "/env", `{"set": {"A": {"` + canary + `": 1}}}`, 422, "set.A"},
		"env value too long":   {"PATCH", shop + "/env", `{"set": {"A": "` + strings.Repeat(canary, 3000) + `"}}`, 413, "A"},
		"env value with NUL":   {"PATCH", shop + "/env", `{"set": {"A": "` + canary + `\u0000"}}`, 422, "set.A"},
		"env key of Sky's":     {"PATCH", shop + "/env", `{"set": {"PORT": "` + canary + `"}}`, 422, "PORT"},
		"body too large":       {"PATCH", shop + "/env", `{"set": {"A": "` + strings.Repeat("x", 5<<20) + `"}}`, 413, ""},
		"path of wrong type":   {"GET", shop + "/builds/" + canary, ``, 422, "path.number"},
		"negative number":      {"GET", shop + "/builds/-1", ``, 422, "path.number"},
		"query of wrong type":  {"GET", shop + "/logs?lines=" + canary, ``, 422, "query.lines"},
		"query out of range":   {"GET", shop + "/logs?lines=99999", ``, 422, "query.lines"},
		"header of wrong type": {"GET", shop + "/builds/1/logs", ``, 422, "header.Last-Event-ID"},
		"private key":          {"POST", "/api/paas/keys", `{"public_key": "-----BEGIN RSA PRIVATE KEY-----` + canary + `"}`, 422, "public_key"},
		"no scale":             {"POST", shop + "/scale", `{"formation": {}}`, 422, "formation"},
		"never deployed":       {"POST", shop + "/scale", `{"formation": {"web": 1}}`, 409, ""},
		"NUL in a path":        {"GET", apps + "/a%00b", ``, 422, "path.app"},
		"NUL in a query":       {"GET", apps + "?search=%00", ``, 422, "query.search"},
		"NUL in a name":        {"POST", apps, `{"name": "shop", "\u0000": 1}`, 422, "body"},
		"no UTF-8":             {"GET", apps + "?organisation=%ff", ``, 422, "query.organisation"},
		"a name with a slash":  {"GET", apps + "/a%2Fbuilds", ``, 404, "app"},
		"an empty name":        {"GET", apps + "/", ``, 404, ""},
		"an unknown path":      {"GET", "/api/paas/nothing", ``, 404, ""},
		"an unknown method":    {"PUT", shop, ``, 405, ""},
		"a long name":          {"POST", shop + "/promote", `{"to": "` + strings.Repeat("x", 1<<20) + `"}`, 422, "to"},
		"branch":               {"PATCH", shop, `{"deploy_branch": "a b"}`, 422, "deploy_branch"},
		"health path":          {"PATCH", shop, `{"health_path": "healthz"}`, 422, "health_path"},
		"buildpack":            {"PATCH", shop, `{"buildpack": "cobol"}`, 422, "buildpack"},
		"unconfirmed":          {"DELETE", shop, ``, 422, "confirm"},
		"no such build":        {"GET", shop + "/builds/7", ``, 404, "build"},
		"release name":         {"POST", shop + "/rollback", `{"release": "latest"}`, 422, "release"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{}
			if name == "header of wrong type" {
				headers = []string{"Last-Event-ID", canary}
			}
			got := s.ask(t, s.admin, test.method, test.path, test.body, headers...)
			require.Equal(t, test.status, got.StatusCode, got.text)
			require.Equal(t, test.field, got.problem(t).Field, got.text)
			require.NotContains(t, got.text, canary)
		})
	}
	require.NotContains(t, s.logged.String(), canary)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := newSite(t)
	require.Equal(t, http.StatusNotFound, s.ask(t, s.admin, http.MethodGet, "/api/paas/nothing", "").StatusCode)
	require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, s.ask(t, s.admin, http.MethodPut, "/api/paas/whoami", "").StatusCode)
	require.Equal(t, "ok\n", s.ask(t, "", http.MethodGet, "/healthz", "").text)
}

func TestAppsOverTheClient(t *testing.T) {
	s := newSite(t)
	app, err := s.client.CreateApp(t.Context(), v1.NewApp{Name: "shop"})
	require.NoError(t, err)
	require.Equal(t, "pending", app.State)
	require.Equal(t, "ssh://git/shop.git", app.GitURL)
	_, err = s.client.CreateApp(t.Context(), v1.NewApp{Name: "shop"})
	require.EqualError(t, err, `the app name "shop" is taken`)
	branch := "live"
	app, err = s.client.ChangeApp(t.Context(), "shop", v1.AppChange{DeployBranch: &branch})
	require.NoError(t, err)
	require.Equal(t, "live", app.DeployBranch)

	_, err = s.client.ChangeEnv(t.Context(), "shop", v1.EnvChange{Set: map[string]string{"A": "1"}})
	require.NoError(t, err)
	hidden, err := s.client.Env(t.Context(), "shop", false)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": ""}, hidden)
	shown, err := s.client.Env(t.Context(), "shop", true)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1"}, shown)

	require.NoError(t, s.client.DestroyApp(t.Context(), "shop", "shop"))
	_, err = s.client.App(t.Context(), "shop")
	require.ErrorContains(t, err, `there is no app "shop"`)
}

// log makes a Build of shop with a log of three lines.
func (s *site) log(t *testing.T) models.Build {
	t.Helper()
	admin, err := s.platform.ActorByToken(t.Context(), s.admin)
	require.NoError(t, err)
	app, err := s.platform.CreateApp(t.Context(), admin, platform.NewApp{Name: "shop"})
	require.NoError(t, err)
	build := models.Build{
		ID: models.NewID(), AppID: app.ID, State: models.BuildRunning, ActorID: app.CreatorID, CreatedAt: time.Now().UTC(),
	}
	require.NoError(t, s.platform.Store.CreateBuild(t.Context(), &build))
	for line := range 3 {
		s.say(t, build, logs.Say, fmt.Sprintf("line %d", line))
	}
	return build
}

func (s *site) say(t *testing.T, build models.Build, kind logs.Kind, text string) {
	t.Helper()
	require.NoError(t, s.platform.Logs.Append("builds/"+build.ID.String(), logs.Entry{Kind: kind, Text: text, Time: time.Now()}))
}

func TestBuildLogEvents(t *testing.T) {
	s := newSite(t)
	s.log(t)
	const path = "/api/paas/applications/shop/builds/1/logs"
	got := s.ask(t, s.admin, http.MethodGet, path, "")
	require.Equal(t, "text/event-stream", got.Header.Get("Content-Type"))
	ids := regexp.MustCompile(`(?m)^id: (\d+)$`).FindAllStringSubmatch(got.text, -1)
	require.Len(t, ids, 3)
	rest := s.ask(t, s.admin, http.MethodGet, path, "", "Last-Event-ID", ids[1][1])
	require.NotContains(t, rest.text, "line 1")
	require.Contains(t, rest.text, `"text":"line 2"`)
	none := s.ask(t, s.admin, http.MethodGet, "/api/paas/applications/nope/builds/1/logs", "")
	require.Contains(t, none.text, `there is no app`)
	read := func(v1.LogLine) error { t.Error("a line of a log that there is not"); return nil }
	for _, err := range []error{
		s.client.AppLog(t.Context(), "nope", 10, false, read),
		s.client.BuildLog(t.Context(), "shop", 9, false, read),
	} {
		refused := &v1.Problem{}
		require.ErrorAs(t, err, &refused)
		require.NotEmpty(t, refused.Remedy)
	}
}

// TestFollowedLog reads lines as they come, until the log ends.
func TestFollowedLog(t *testing.T) {
	s := newSite(t)
	build := s.log(t)
	var texts []string
	err := s.client.BuildLog(t.Context(), "shop", 1, true, func(line v1.LogLine) error {
		texts = append(texts, line.Text)
		if line.Text == "line 2" {
			s.say(t, build, logs.Detail, "later")
			s.say(t, build, logs.End, "")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"line 0", "line 1", "line 2", "later", ""}, texts)
}

// TestReaderLeaves: a follower that goes away ends its stream and no other.
func TestReaderLeaves(t *testing.T) {
	s := newSite(t)
	s.log(t)
	ctx, leave := context.WithCancel(t.Context())
	err := s.client.AppLog(ctx, "shop", 10, false, func(v1.LogLine) error { return nil })
	require.NoError(t, err, "an app that never ran has an empty log")
	lines := 0
	_ = s.client.BuildLog(ctx, "shop", 1, true, func(v1.LogLine) error {
		lines++
		if lines == 3 {
			leave()
		}
		return nil
	})
	require.Equal(t, 3, lines)
}

func TestNodesJoinOnce(t *testing.T) {
	s := newSite(t)
	join, err := s.client.AddNode(t.Context(), v1.NewNode{Name: "worker-1"})
	require.NoError(t, err)
	require.Equal(t, "pending", join.Node.State)
	anybody := &v1.Client{URL: s.URL, HTTP: s.Server.Client()}
	credential, err := anybody.Join(t.Context(), join.Token)
	require.NoError(t, err)
	require.Equal(t, join.Node.ID, credential.NodeID)
	_, err = anybody.Join(t.Context(), join.Token)
	require.ErrorContains(t, err, "was used")
	anybody.Token = credential.Token
	renewed, err := anybody.Renew(t.Context())
	require.NoError(t, err)
	require.Equal(t, credential.NodeID, renewed.NodeID)
	_, err = anybody.Whoami(t.Context())
	require.Error(t, err, "an agent's credential is no API token")
}
