package rollout

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// probing asks handler until it was asked n times.
func probing(t *testing.T, n int64, handler func(w http.ResponseWriter, asked int64)) Proof {
	t.Helper()
	var asked atomic.Int64
	enough := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := asked.Add(1)
		if r.Host != "shop.example" || r.Method != http.MethodGet {
			t.Errorf("asked %s %s", r.Method, r.Host)
		}
		if now == n+1 { // n answers were read
			close(enough)
		}
		handler(w, now)
	}))
	defer server.Close()
	probe := &Probe{URL: server.URL, Host: "shop.example", Pause: time.Millisecond}
	probe.Start(t.Context())
	probe.Watch()
	<-enough
	proof := probe.Stop()
	require.GreaterOrEqual(t, int64(proof.Requests), n)
	require.Equal(t, proof, probe.Stop(), "it may be called again")
	return proof
}

func TestProbeCountsWhatSkyBroke(t *testing.T) {
	proof := probing(t, 6, func(w http.ResponseWriter, asked int64) {
		if asked == 2 || asked == 4 {
			w.Header().Set("X-Sky-Error", "no_target")
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	require.Equal(t, 2, proof.Failed)
}

func TestProbeCountsNewServerErrors(t *testing.T) {
	proof := probing(t, 4, func(w http.ResponseWriter, asked int64) {
		if asked == 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	require.Equal(t, 1, proof.Failed)
}

// TestProbePardonsTheAppsOwn: an app that answered 503 or 404 before does so by
// itself.
func TestProbePardonsTheAppsOwn(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusNotFound, http.StatusFound} {
		proof := probing(t, 4, func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Location", "http://nowhere.invalid/")
			w.WriteHeader(status)
		})
		require.Zero(t, proof.Failed)
	}
}

// TestProbeCountsBrokenConnections: nothing is asked a second time.
func TestProbeCountsBrokenConnections(t *testing.T) {
	proof := probing(t, 4, func(_ http.ResponseWriter, asked int64) {
		if asked == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	require.Equal(t, 1, proof.Failed)
}

// TestProbeRestsUntilItWatches: one request tells how the app answers before.
func TestProbeRestsUntilItWatches(t *testing.T) {
	asked := make(chan struct{}, 9)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer server.Close()
	probe := &Probe{URL: server.URL, Pause: time.Hour}
	probe.Start(t.Context())
	<-asked
	require.LessOrEqual(t, probe.Stop().Requests, 1)
	require.Empty(t, asked)
}

func TestNilProbe(t *testing.T) {
	var probe *Probe
	probe.Watch()
	require.Equal(t, Proof{}, probe.Stop())
}
