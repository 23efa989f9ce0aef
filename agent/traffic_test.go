package agent

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/skypanel/sky/agent/ingress"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/stretchr/testify/require"
)

func ask(in *ingress.Ingress, host string) {
	request := httptest.NewRequest(http.MethodGet, "http://"+host+"/", http.NoBody)
	in.ServeHTTP(httptest.NewRecorder(), request)
}

// TestALinkIsToldWhatChanged: another link is told all again.
func TestALinkIsToldWhatChanged(t *testing.T) {
	in := ingress.New(ingress.Options{})
	for _, app := range []string{"a", "b"} {
		in.SetRoute(app, ingress.Route{App: app, Hosts: []string{app + ".test"}, Stopped: true})
	}
	link := traffic{ingress: in}
	require.Empty(t, link.News(), "nobody asked for anything")
	ask(in, "a.test")
	ask(in, "b.test")
	require.Len(t, link.News(), 2)
	require.Empty(t, link.News())
	ask(in, "b.test")
	news := link.News()
	require.Len(t, news, 1)
	require.Equal(t, "b", news[0].AppID)
	require.EqualValues(t, 2, news[0].Requests(), "all since it began")
	require.Len(t, (&traffic{ingress: in}).News(), 2)
}

func TestTrafficIsTakenOnce(t *testing.T) {
	dir := t.TempDir()
	disk, err := openDisk(dir)
	require.NoError(t, err)
	defer disk.Close()
	none, err := disk.TakeTraffic()
	require.NoError(t, err)
	require.Empty(t, none)
	counted := []protocol.Traffic{{AppID: "a", Began: 7, Status: [6]int64{2: 3}}}
	require.NoError(t, disk.SaveTraffic(counted))
	taken, err := disk.TakeTraffic()
	require.NoError(t, err)
	require.Equal(t, counted, taken)
	again, err := disk.TakeTraffic()
	require.NoError(t, err)
	require.Empty(t, again, "an agent that is killed must not count from there again")

	require.NoError(t, os.WriteFile(filepath.Join(dir, trafficFile), []byte("{"), 0o600))
	damaged, err := disk.TakeTraffic()
	require.NoError(t, err)
	require.Empty(t, damaged)
}
