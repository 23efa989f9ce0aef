package api_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skypanel/sky/api"
	"github.com/stretchr/testify/require"
)

// within answers one request without a network.
func within(t *testing.T, handler http.Handler, token, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	if token == "" {
		request.Header.Del("Authorization")
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	got := httptest.NewRecorder()
	handler.ServeHTTP(got, request)
	return got
}

func TestRequestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newParts(t)
		handler := api.New(api.Config{Platform: s.platform, Log: slog.New(slog.DiscardHandler), RequestsPerMinute: 60, GitURL: func(string) string { return "" }})
		const path = "/api/paas/whoami"
		for range 20 {
			require.Equal(t, http.StatusOK, within(t, handler, s.admin, http.MethodGet, path, "").Code)
		}
		got := within(t, handler, s.admin, http.MethodGet, path, "")
		require.Equal(t, http.StatusTooManyRequests, got.Code)
		require.Equal(t, "2", got.Header().Get("Retry-After"))
		require.Contains(t, got.Body.String(), `"code":"too_many"`)
		spoofed := within(t, handler, s.admin, http.MethodGet, path, "", "X-Forwarded-For", "198.51.100.7")
		require.Equal(t, http.StatusTooManyRequests, spoofed.Code)
		other := s.user(t, "other")
		require.Equal(t, http.StatusOK, within(t, handler, other, http.MethodGet, path, "").Code)
		<-time.After(2 * time.Second)
		require.Equal(t, http.StatusOK, within(t, handler, s.admin, http.MethodGet, path, "").Code)
	})
}

// TestForwardedAddresses is abuse case G9: only a proxy that the operator named
// is believed.
func TestForwardedAddresses(t *testing.T) {
	for proxies, believed := range map[string]bool{"": false, "192.0.2.0/24": true, "198.51.100.0/24": false} {
		s, _ := newParts(t)
		config := api.Config{Platform: s.platform, Log: slog.New(slog.DiscardHandler)}
		if proxies != "" {
			config.TrustedProxies = []string{proxies} // httptest's client is 192.0.2.1
		}
		handler := api.New(config)
		last := 0
		for i := range 11 {
			body := fmt.Sprintf(`{"login": "user%d", "password": "wrong"}`, i)
			forwarded := fmt.Sprintf("203.0.113.%d", i)
			last = within(t, handler, "", http.MethodPost, loginPath, body, "X-Forwarded-For", forwarded, "X-Real-IP", forwarded, "X-WEBAUTH-USER", "admin").Code
		}
		wanted := http.StatusTooManyRequests
		if believed {
			wanted = http.StatusUnauthorized
		}
		require.Equal(t, wanted, last, proxies)
	}
}
