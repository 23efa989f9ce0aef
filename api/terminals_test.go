package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const execPath = "/api/paas/applications/shop/exec"

// open opens a terminal with these headers. It returns the connection, or the
// answer that refused it.
func (c *company) open(t *testing.T, path string, headers ...string) (*websocket.Conn, *http.Response) {
	t.Helper()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	conn, response, err := websocket.Dial(t.Context(), c.URL+path, &websocket.DialOptions{HTTPClient: c.Server.Client(), HTTPHeader: header})
	if err != nil {
		require.NotNil(t, response, err)
		return nil, response
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, response
}

// problemOf reads what a terminal is refused with.
func problemOf(t *testing.T, conn *websocket.Conn) v1.Problem {
	t.Helper()
	_, carried, err := conn.Read(t.Context())
	require.NoError(t, err)
	piece, err := terminal.Decode(carried)
	require.NoError(t, err)
	require.Equal(t, terminal.Problem, piece.Kind)
	problem, err := terminal.Read[v1.Problem](piece)
	require.NoError(t, err)
	return problem
}

func ask(t *testing.T, conn *websocket.Conn, request v1.TerminalRequest) {
	t.Helper()
	text, err := json.Marshal(request)
	require.NoError(t, err)
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, text))
}

func TestTerminalsOfOtherSitesAreRefused(t *testing.T) {
	c := newCompany(t)
	c.setUp(t)
	cookie := c.browse(t)
	for origin, allowed := range map[string]bool{"": true, c.URL: true, "https://evil.example": false, "null": false} {
		headers := []string{"Cookie", cookie}
		if origin != "" {
			headers = append(headers, "Origin", origin)
		}
		conn, response := c.open(t, execPath, headers...)
		require.Equal(t, allowed, conn != nil, "%q: %s", origin, response.Status)
		if !allowed {
			require.Equal(t, http.StatusForbidden, response.StatusCode)
		}
	}
	conn, response := c.open(t, execPath, "Authorization", "Bearer "+c.admin, "Origin", "https://elsewhere.example")
	require.NotNil(t, conn, "%s: a token is no browser's", response.Status)
}

func TestTerminalsAskFirst(t *testing.T) {
	c := newCompany(t)
	owner := "Bearer " + c.tokens[models.RoleOwner]
	for text, want := range map[string]string{
		`{"command": []}`:                                      "there is no command to run",
		`{"command": ["a\u0000b"]}`:                            "zero byte",
		`{"command": ["ls"]}`:                                  "shop runs nothing",
		`{"command": ["ls"], "process": "worker"}`:             `shop runs no instance of "worker"`,
		`{"command": ["ls"], "instance": "web.1"}`:             `shop has no instance "web.1"`,
		`{"command": ["` + strings.Repeat("x", 40_000) + `"]}`: "longer than",
		`not JSON`: "no TerminalRequest",
	} {
		conn, _ := c.open(t, execPath, "Authorization", owner)
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
		problem := problemOf(t, conn)
		require.Contains(t, problem.Detail, want)
		require.NotEmpty(t, problem.Remedy, want)
	}
	conn, _ := c.open(t, strings.Replace(execPath, "exec", "run", 1), "Authorization", owner)
	ask(t, conn, v1.TerminalRequest{Command: []string{"ls"}})
	require.Contains(t, problemOf(t, conn).Detail, "shop was never deployed")
	conn, _ = c.open(t, execPath, "Authorization", owner)
	_ = conn.Write(t.Context(), websocket.MessageText, make([]byte, 1<<20)) // a message without end
	_, _, err := conn.Read(t.Context())
	require.Error(t, err)
}

func TestTerminalsAreForMembersWhoMayDeploy(t *testing.T) {
	c := newCompany(t)
	for role, token := range c.tokens {
		conn, response := c.open(t, execPath, "Authorization", "Bearer "+token)
		require.Equal(t, role.May(models.AppExec), conn != nil, "%s: %s", role, response.Status)
	}
	_, response := c.open(t, execPath, "Authorization", "Bearer "+c.stranger)
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	reader := c.token(t, c.members[models.RoleOwner].ID, models.Scopes{models.ScopeRead}, nil)
	_, response = c.open(t, execPath, "Authorization", "Bearer "+reader)
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	_, response = c.open(t, execPath+"?token=x", "Authorization", "Bearer "+c.admin)
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
}
