package api_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

var (
	fuzzCases = flag.Int("fuzz-cases", 3, "flawed requests for each operation and each who asks, in TestHostileRequests")
	fuzzSeed  = flag.Uint64("fuzz-seed", 1, "another seed makes other requests, in TestHostileRequests")
)

const (
	secretCanary = "canary-7f3a9c-secret"  // the value of every secret
	rivalCanary  = "canary-51bb02-foreign" // in what belongs to another organisation
)

// rivals are another organisation, full of canaries.
type rivals struct {
	user models.User
	org  models.Organisation
	app  models.App
}

func (c *company) rivals(t *testing.T) *rivals {
	t.Helper()
	ctx, r := t.Context(), &rivals{}
	token := c.user(t, "rival")
	theirs := &v1.Client{URL: c.URL, Token: token, HTTP: c.Server.Client()}
	_, err := theirs.CreateOrganisation(ctx, v1.NewOrganisation{Name: "globex", Title: rivalCanary})
	require.NoError(t, err)
	_, err = theirs.CreateApp(ctx, v1.NewApp{Name: "safe", Organisation: "globex"})
	require.NoError(t, err)
	_, err = theirs.ChangeEnv(ctx, "safe", v1.EnvChange{Set: map[string]string{"KEY": rivalCanary}})
	require.NoError(t, err)
	_, err = theirs.AddDomain(ctx, "safe", rivalCanary+".example.com")
	require.NoError(t, err)
	r.user, err = c.platform.Store.UserByLogin(ctx, "rival")
	require.NoError(t, err)
	r.org, err = c.platform.Store.OrganisationByName(ctx, "globex")
	require.NoError(t, err)
	r.app, err = c.platform.Store.AppByName(ctx, "safe")
	require.NoError(t, err)
	require.NoError(t, c.platform.Store.CreateBuild(ctx, &models.Build{
		ID: models.NewID(), AppID: r.app.ID, State: models.BuildFailed, Subject: rivalCanary, ActorID: r.user.ID, CreatedAt: time.Now().UTC(),
	}))
	require.NoError(t, c.platform.Store.Notify(ctx, &models.Notification{
		ID: models.NewID(), OrganisationID: r.org.ID, Kind: "billing.low", Ref: "1", Text: rivalCanary, CreatedAt: time.Now().UTC(),
	}))
	return r
}

// onlySealed are columns that an admin changes for everybody: secrets are sealed
// again with another key, domains are checked again.
var onlySealed = regexp.MustCompile(`"(value|config|checked_at|error|updated_at)":("[^"]*"|null)`)

// rows are those of the database that have to do with the rivals.
func (c *company) rows(t *testing.T, r *rivals) []string {
	t.Helper()
	var all strings.Builder
	_, err := c.platform.Store.Dump(t.Context(), func(string) (io.Writer, error) { return &all, nil })
	require.NoError(t, err)
	var theirs []string
	for line := range strings.SplitSeq(all.String(), "\n") {
		for _, id := range []models.ID{r.user.ID, r.org.ID, r.app.ID} {
			if strings.Contains(line, id.String()) {
				theirs = append(theirs, line)
				break
			}
		}
	}
	slices.Sort(theirs)
	return theirs
}

// furnish gives the company something of everything that paths name.
func (c *company) furnish(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	_, err := c.client.AddNode(ctx, v1.NewNode{Name: "n1"})
	require.NoError(t, err)
	_, err = c.client.AddDomain(ctx, "shop", "shop.example.com")
	require.NoError(t, err)
	_, err = c.client.ChangeEnv(ctx, "shop", v1.EnvChange{Set: map[string]string{"PASSWORD": secretCanary}})
	require.NoError(t, err)
	app, err := c.platform.Store.AppByName(ctx, "shop")
	require.NoError(t, err)
	build := models.Build{ID: models.NewID(), AppID: app.ID, State: models.BuildSucceeded, Commit: strings.Repeat("a", 40), CreatedAt: time.Now().UTC()}
	require.NoError(t, c.platform.Store.CreateBuild(ctx, &build))
	for range 2 {
		require.NoError(t, c.platform.Store.CreateRelease(ctx, &models.Release{
			ID: models.NewID(), AppID: app.ID, BuildID: &build.ID, Image: "sky/shop", Processes: models.Processes{"web": {"serve"}}, Config: []byte{},
			CreatedAt: time.Now().UTC(),
		}))
	}
}

// everything lists all operations, reads first, removals last.
func (s *site) everything(t *testing.T) []route {
	t.Helper()
	document := object{}
	require.NoError(t, json.Unmarshal([]byte(s.ask(t, "", http.MethodGet, "/api/openapi.json", "").text), &document))
	var routes []route
	operations(document, func(path, method string, operation object) {
		routes = append(routes, route{
			id: operation["operationId"].(string), method: strings.ToUpper(method), path: path, operation: operation, document: document,
		})
	})
	order := []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}
	slices.SortFunc(routes, func(a, b route) int {
		if by := slices.Index(order, a.method) - slices.Index(order, b.method); by != 0 {
			return by
		}
		return strings.Compare(a.id, b.id)
	})
	return routes
}

// parameters lists the operation's parameters in one place.
func (r route) parameters(in string) []object {
	var found []object
	all, _ := r.operation["parameters"].([]any)
	for _, parameter := range all {
		if parameter := parameter.(object); parameter["in"] == in {
			found = append(found, parameter)
		}
	}
	return found
}

// fire sends an attempt. ok is false where the client itself cannot send it.
func (s *site) fire(t *testing.T, token string, a attempt, stream bool) (got answer, ok bool) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, a.method, s.URL+a.path, strings.NewReader(a.body))
	if err != nil {
		return answer{}, false
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range a.headers {
		request.Header.Set(name, value)
	}
	response, err := s.Server.Client().Do(request)
	require.NoError(t, err, "%s %.200s", a.method, a.path)
	defer response.Body.Close()
	if stream && response.StatusCode == http.StatusOK {
		return answer{response, ""}, true // it has no end
	}
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(text)}, true
}

// requireProper holds an answer to what every answer owes.
func requireProper(t *testing.T, r route, a attempt, got answer) {
	t.Helper()
	told := fmt.Sprintf("%s (%s): %s %.200s\n%.300s\n→ %d %.500s", r.id, a.what, a.method, a.path, a.body, got.StatusCode, got.text)
	if got.StatusCode >= http.StatusInternalServerError {
		require.Contains(t, []int{http.StatusNotImplemented, http.StatusServiceUnavailable}, got.StatusCode, told)
	}
	if got.StatusCode >= http.StatusBadRequest {
		require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"), told)
		problem := got.problem(t)
		if got.StatusCode == http.StatusUnprocessableEntity && problem.Code == string(models.Invalid) {
			require.NotEmpty(t, problem.Field, told)
		}
		require.NotEqual(t, string(models.Internal), problem.Code, told)
		require.Less(t, len(got.text), 64<<10, told)
	} else if got.StatusCode < http.StatusMultipleChoices && strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
		requireFits(t, r, got, told)
	}
	if !strings.Contains(a.path, "reveal=") {
		require.NotContains(t, got.text, secretCanary, told)
	}
	require.Empty(t, got.Header.Get("X-Injected"), told)
}

// TestHostileRequests walks the OpenAPI document and asks every operation well
// and badly, as an admin of the platform, as a developer and as nobody.
func TestHostileRequests(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (*store.Store, error){"sqlite": sqlite, "postgres": postgres} {
		for _, who := range []string{"admin", "developer", "nobody"} {
			t.Run(name+" "+who, func(t *testing.T) {
				if name == "postgres" && (testing.Short() || who == "nobody") {
					t.Skip("nobody comes as far as a database that is slow to start")
				}
				c := newCompanyOn(t, newSiteOn(t, open))
				c.besiege(t, who)
			})
		}
	}
}

func (c *company) besiege(t *testing.T, who string) {
	t.Helper()
	c.furnish(t)
	theirs := c.rivals(t)
	before := c.rows(t, theirs)
	token := map[string]string{"admin": c.admin, "developer": c.tokens[models.RoleDeveloper]}[who]
	for _, r := range c.everything(t) {
		c.assault(t, who, token, r)
	}
	after := c.rows(t, theirs)
	if who == "admin" {
		before, after = masked(before), masked(after)
	}
	require.Equal(t, before, after, "what belongs to others was changed")
	require.NotContains(t, c.logged.String(), secretCanary)
	require.NotContains(t, c.logged.String(), "panic")
}

func masked(rows []string) []string {
	masked := make([]string, len(rows))
	for i, row := range rows {
		masked[i] = onlySealed.ReplaceAllString(row, `"$1":"…"`)
	}
	return masked
}

func (c *company) assault(t *testing.T, who, token string, r route) {
	t.Helper()
	seed := fnv.New64()
	_, _ = seed.Write([]byte(who + r.id))
	g := &generator{random: rand.New(rand.NewPCG(*fuzzSeed, seed.Sum64())), values: own, secret: secretCanary}
	foreign := *g
	foreign.values = map[string]string{"organisation": "globex", "app": "safe", "user": "rival", "host": rivalCanary + ".example.com"}
	for name, value := range own {
		if _, there := foreign.values[name]; !there {
			foreign.values[name] = value
		}
	}
	all := g.attempts(r, *fuzzCases)
	if who != "admin" { // who manages the platform may
		all = append(all, foreign.good(r, false), foreign.good(r, true))
	}
	for _, a := range all {
		if got, sent := c.fire(t, token, a, r.streams()); sent {
			requireProper(t, r, a, got)
			if who != "admin" {
				require.NotContains(t, strings.ReplaceAll(got.text, foreign.values["host"], ""), rivalCanary, "%s %s", r.id, a.path)
			}
		}
	}
}
