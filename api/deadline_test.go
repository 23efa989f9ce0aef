package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// timed is a listener that remembers the read deadline of its newest connection.
type timed struct {
	net.Listener
	mu       sync.Mutex
	deadline time.Time
}

func (l *timed) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return &timedConn{connection, l}, err
}

type timedConn struct {
	net.Conn
	listener *timed
}

func (c *timedConn) SetReadDeadline(at time.Time) error {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.listener.deadline = at
	return c.Conn.SetReadDeadline(at)
}

// TestOperationsMayTakeLong: once a body was read, no deadline of reading is left
// that would end the operation's context when it passes.
func TestOperationsMayTakeLong(t *testing.T) {
	engine, s := gin.New(), &server{}
	routes := humagin.New(engine, huma.DefaultConfig("test", "1"))
	routes.UseMiddleware(s.plainText(routes))
	listener := &timed{}
	var left time.Time
	huma.Register(routes, operation(http.MethodPost, "/rollback", "rollback", "Roll back", models.AppDeploy),
		func(context.Context, *struct{ Body v1.Rollback }) (*struct{}, error) {
			listener.mu.Lock()
			defer listener.mu.Unlock()
			left = listener.deadline
			return nil, nil
		})
	server := httptest.NewUnstartedServer(engine)
	listener.Listener, server.Listener = server.Listener, listener
	server.Start()
	defer server.Close()
	answer, err := http.Post(server.URL+"/rollback", "application/json", strings.NewReader(`{"release": "v1"}`))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	require.Zero(t, left)
}
