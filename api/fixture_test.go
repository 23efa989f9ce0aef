package api_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"crypto/sha256"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/api"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/require"
)

// repositories and builder are parts that these tests do not reach into.
type repositories struct{}

func (repositories) Create(context.Context, models.ID) error                { return nil }
func (repositories) Remove(context.Context, models.ID) error                { return nil }
func (repositories) Ref(context.Context, models.ID, string) (string, error) { return "", nil }
func (repositories) RemoteHead(context.Context, platform.Remote, string) (string, error) {
	return models.ZeroObject, nil
}

func (repositories) Fetch(context.Context, models.ID, platform.Remote, string) (string, error) {
	return "", models.Errorf(models.NotFound, "there is no remote")
}

func (repositories) Changes(context.Context, models.ID, string, string, int) ([]string, error) {
	return nil, nil
}

func (repositories) UpdateRefs(context.Context, models.ID, []*models.RefUpdate, bool) error {
	return nil
}
func (repositories) IsAncestor(context.Context, models.ID, string, string) (bool, error) {
	return true, nil
}
func (repositories) Commit(context.Context, models.ID, string) (models.Commit, error) {
	return models.Commit{}, nil
}
func (repositories) Keep(context.Context, models.ID, string, string) error { return nil }
func (repositories) ConsolidateIfDue(context.Context, models.ID) error     { return nil }
func (repositories) Files(context.Context, models.ID, string) (platform.Files, error) {
	return files{}, nil
}

type files struct{ fstest.MapFS }

func (files) Close() error                { return nil }
func (files) Warnings() ([]string, error) { return nil, nil }

type builder struct{}

func (builder) Build(context.Context, buildpipeline.Job) (buildpipeline.Result, error) {
	return buildpipeline.Result{}, nil
}
func (builder) Adopt(context.Context, buildpipeline.Job, string) (buildpipeline.Result, error) {
	return buildpipeline.Result{}, models.Errorf(models.Failed, "there is no registry")
}
func (builder) RemoveImages(context.Context, models.App) error           { return nil }
func (builder) RetainImages(context.Context, models.App, []string) error { return nil }
func (builder) Sweep(context.Context, int64, int64) error                { return nil }
func (builder) DiskUsage(context.Context) (buildpipeline.DiskUsage, error) {
	return buildpipeline.DiskUsage{Apps: map[string]buildpipeline.ImageUsage{"shop": {Images: 1, Bytes: 1 << 20}}}, nil
}

func (builder) ShareImage(_ context.Context, image string, _ models.ID, _ string) (string, error) {
	return image, nil
}
func (builder) HasImage(context.Context, string) bool { return true }
func (builder) Packages(context.Context, models.App, string) ([]byte, error) {
	return []byte(`{"bomFormat": "CycloneDX"}`), nil
}
func (builder) Check(context.Context) error { return nil }

// records is a DNS: what is not in it does not exist.
type records map[string][]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if texts, ok := r[name]; ok {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// nobody is a fleet without nodes.
type nobody struct{}

func (nobody) Refresh(models.ID)                             {}
func (nobody) RefreshLater(models.ID)                        {}
func (nobody) Instances(models.ID) []protocol.InstanceStatus { return nil }
func (nobody) Open(context.Context, models.ID, protocol.StreamHeader) (*protocol.Stream, error) {
	return nil, models.Errorf(models.Unavailable, "the node is offline")
}
func (nobody) Wait(_ context.Context, condition func(rollout.View) (bool, error)) error {
	_, err := condition(empty{})
	return err
}

type empty struct{}

func (empty) Instance(models.ID) (protocol.InstanceStatus, bool) {
	return protocol.InstanceStatus{}, false
}
func (empty) Generation(models.ID) uint64 { return 0 }
func (empty) Online(models.ID) bool       { return false }
func (empty) Trouble(models.ID) string    { return "" }

// site is the API over HTTP, on a real Platform.
type site struct {
	*httptest.Server
	platform *platform.Platform
	logged   *bytes.Buffer
	admin    string
	client   *v1.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOn(t, database)
}

// database is the engine that this run of the suite is for.
func database(t *testing.T) (*store.Store, error) {
	if testenv.OnPostgres() {
		return postgres(t)
	}
	return sqlite(t)
}

func sqlite(t *testing.T) (*store.Store, error) {
	return store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "sky.db"))
}

func postgres(t *testing.T) (*store.Store, error) {
	return store.OpenPostgres(t.Context(), testenv.Postgres(t))
}

// newSiteOn is a site on a database that open opens.
func newSiteOn(t *testing.T, open func(*testing.T) (*store.Store, error)) *site {
	t.Helper()
	database, err := open(t)
	require.NoError(t, err)
	s, handler := newPartsOn(t, database)
	s.Server = httptest.NewServer(handler)
	s.client = &v1.Client{URL: s.URL, Token: s.admin, HTTP: s.Server.Client()}
	t.Cleanup(s.Close)
	return s
}

// newParts is a site without its HTTP server, and what that would serve.
func newParts(t *testing.T) (*site, http.Handler) {
	t.Helper()
	database, err := database(t)
	require.NoError(t, err)
	return newPartsOn(t, database)
}

func newPartsOn(t *testing.T, database *store.Store) (*site, http.Handler) {
	t.Helper()
	dir := t.TempDir()
	hub, err := logs.Open(filepath.Join(dir, "logs"))
	require.NoError(t, err)
	vault, err := platform.OpenVault(filepath.Join(dir, "master.json"), false)
	require.NoError(t, err)
	s := &site{logged: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(s.logged, nil))
	s.platform = &platform.Platform{
		Store: database, Repositories: repositories{}, Builder: builder{}, Fleet: nobody{}, Logs: hub, Vault: vault, Resolver: records{}, Log: log,
		Settings: platform.Settings{Domain: "sky.test", DataDir: dir},
	}
	s.platform.Roller = &rollout.Roller{Store: s.platform, Fleet: nobody{}, Patience: time.Second}
	require.NoError(t, s.platform.Start(t.Context()))
	_, err = s.platform.Seed(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.platform.EnsureAdmin(t.Context(), filepath.Join(dir, "token")))
	s.admin, err = platform.ReadTokenFile(filepath.Join(dir, "token"))
	require.NoError(t, err)
	t.Cleanup(func() {
		s.platform.Stop()
		require.NoError(t, hub.Close())
		require.NoError(t, database.Close())
	})
	return s, api.New(api.Config{
		Platform: s.platform, Version: "test", Log: log, GitURL: func(app string) string { return "ssh://git/" + app + ".git" },
	})
}

// user makes somebody who is no admin and returns a token of theirs.
func (s *site) user(t *testing.T, name string) string {
	t.Helper()
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	body := encoding.EncodeToString([]byte(name))
	text := "sky_pat_" + body + encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
	hash := sha256.Sum256([]byte(text))
	row := models.User{ID: models.NewID(), Name: name, CreatedAt: time.Now().UTC()}
	require.NoError(t, s.platform.Store.CreateUser(t.Context(), &row))
	require.NoError(t, s.platform.Store.CreateOrganisation(t.Context(), &models.Organisation{ID: models.NewID(), Name: name}, row.ID))
	token := models.Token{ID: models.NewID(), UserID: row.ID, Name: "test", Hash: hash[:], Scopes: models.AllScopes(), CreatedAt: time.Now().UTC()}
	require.NoError(t, s.platform.Store.CreateToken(t.Context(), &token))
	return text
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	text string
}

// problem decodes an RFC 9457 document and checks that it is whole.
func (a answer) problem(t *testing.T) v1.Problem {
	t.Helper()
	problem := v1.Problem{}
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), a.text)
	require.NoError(t, json.Unmarshal([]byte(a.text), &problem), a.text)
	require.Equal(t, a.StatusCode, problem.Status)
	require.NotEmpty(t, problem.Detail)
	require.NotEmpty(t, problem.Code)
	require.NotEmpty(t, problem.Title)
	return problem
}

func (s *site) ask(t *testing.T, token, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.Server.Client().Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return answer{response, string(text)}
}
