package buildpipeline

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// TestURLsArePinned: the definition stays whole, and every URL in it has a digest.
func TestURLsArePinned(t *testing.T) {
	tool := llb.HTTP("https://example.com/tool", llb.Filename("tool"))
	known := llb.HTTP("http://10.0.0.1/known", llb.Checksum(digest.FromString("known")))
	made, err := llb.Image("base").File(llb.Copy(tool, "tool", "/")).File(llb.Copy(known, "known", "/")).Marshal(t.Context())
	require.NoError(t, err)
	before := made.ToPB()
	var asked []string
	sum := func(url string) (digest.Digest, error) {
		asked = append(asked, url)
		return digest.FromString(url), nil
	}
	after, err := amend(before, func(operation *pb.Op) (bool, error) { return pinSource(operation.GetSource(), sum) })
	require.NoError(t, err)
	require.Equal(t, []string{"https://example.com/tool"}, asked)
	require.Len(t, after.Def, len(before.Def))
	there := map[string]bool{}
	sums := map[string]string{}
	for _, text := range after.Def {
		operation := &pb.Op{}
		require.NoError(t, proto.Unmarshal(text, operation))
		for _, input := range operation.Inputs {
			require.True(t, there[input.Digest], "an input that does not exist")
		}
		there[digest.FromBytes(text).String()] = true
		require.NotNil(t, after.Metadata[digest.FromBytes(text).String()])
		if source := operation.GetSource(); source != nil {
			sums[source.Identifier] = source.Attrs[pb.AttrHTTPChecksum]
		}
	}
	require.Equal(t, digest.FromString("https://example.com/tool").String(), sums["https://example.com/tool"])
	require.Equal(t, digest.FromString("known").String(), sums["http://10.0.0.1/known"])

	plain, err := llb.Image("base").Marshal(t.Context())
	require.NoError(t, err)
	same, err := amend(plain.ToPB(), func(operation *pb.Op) (bool, error) { return pinSource(operation.GetSource(), sum) })
	require.NoError(t, err)
	require.Equal(t, plain.ToPB().Def, same.Def)

	cloned, err := llb.Git("https://example.com/x.git", "main").Marshal(t.Context())
	require.NoError(t, err)
	_, err = amend(cloned.ToPB(), func(operation *pb.Op) (bool, error) { return pinSource(operation.GetSource(), sum) })
	require.True(t, models.IsCode(err, models.Failed))
}

// TestFetchingStaysWithinBounds, wherever a server leads, and is no larger than may be.
func TestFetchingStaysWithinBounds(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "inner") }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusFound))
	defer outer.Close()
	port := netip.MustParseAddrPort(inner.Listener.Addr().String()).Port()
	here := netip.MustParsePrefix("127.0.0.1/32")
	for name, test := range map[string]struct {
		routes []route
		most   int64
		want   string
	}{
		"refused":        {[]route{{here, 0, false}}, 0, errOutOfReach.Error()},
		"refused behind": {[]route{{here, port, false}}, 0, errOutOfReach.Error()},
		"too large":      {nil, 4, "larger than"},
		"allowed":        {nil, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fetch := fetcher(test.routes, nil, test.most)
			sum, err := fetch(context.WithoutCancel(t.Context()), outer.URL)
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				require.True(t, models.IsCode(err, models.Failed))
				return
			}
			require.NoError(t, err)
			require.Equal(t, digest.FromString("inner"), sum)
		})
	}
}

// TestCachesAreMarked with their app, and a command that only says so is not.
func TestCachesAreMarked(t *testing.T) {
	app := models.NewID()
	id := app.String()
	cache := []*pb.Mount{{MountType: pb.MountType_BIND}, {MountType: pb.MountType_CACHE}}
	exec := &pb.ExecOp{Meta: &pb.Meta{Args: []string{"/bin/sh", "-c", "npm ci"}}, Mounts: cache}
	require.True(t, markCaches(exec, id))
	require.Equal(t, []string{"/bin/sh", "-c", "npm ci", "/bin/sh", "sky-app=" + id}, exec.Meta.Args)
	owner, marked := cacheOwner("cached mount /x from exec /bin/sh -c npm ci /bin/sh sky-app=" + id)
	require.True(t, marked)
	require.Equal(t, app, owner)
	for _, left := range []*pb.ExecOp{
		{Meta: &pb.Meta{Args: []string{"/bin/sh", "-c", "npm ci"}}, Mounts: cache[:1]},
		{Meta: &pb.Meta{Args: []string{"npm", "ci"}}, Mounts: cache},
	} {
		require.False(t, markCaches(left, id))
	}
	for _, other := range []string{"", "cached mount /x from exec npm ci", "x sky-app=", "x sky-app=shop", "sky-app=" + id + " echo"} {
		_, marked := cacheOwner(other)
		require.False(t, marked, other)
	}
}
