package platform

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestWhyABuildRan(t *testing.T) {
	s := newStage(t)
	why := func() string {
		explained, err := s.Explain(t.Context(), s.app, 0)
		require.NoError(t, err)
		return strings.Join(explained.Reasons, "; ")
	}
	commits := []fstest.MapFS{
		{"a": {Data: []byte("1")}, "b": {Data: []byte("1")}},
		{"a": {Data: []byte("22")}, "c": {Data: []byte("1")}},
	}
	s.repos.files = map[string]fstest.MapFS{oid(1): commits[0], oid(2): commits[1], oid(3): commits[1], oid(4): commits[1]}
	inputs := models.BuildInputs{Files: "1", Dockerfile: "x", Bases: map[string]string{"base:1": "sha256:1"}}
	push := func(digit int, change func(*models.BuildInputs), options ...string) {
		change(&inputs)
		s.build.inputs = inputs
		_, err := s.push(t, digit, options...)
		require.NoError(t, err)
	}
	push(1, func(*models.BuildInputs) {})
	require.Contains(t, why(), "nothing of the app was built before")
	push(2, func(i *models.BuildInputs) { i.Files = "2" })
	require.Equal(t, "3 files: a, b (gone), c (new)", why())
	push(3, func(*models.BuildInputs) {}, "clear-cache")
	require.Equal(t, "clear-cache was asked for: every step ran; nothing had changed since build #2", why())
	push(4, func(i *models.BuildInputs) {
		i.Dockerfile, i.Settings, i.Variables, i.Bases = "y", "y", "y", map[string]string{"base:1": "sha256:2", "other:1": "sha256:3"}
	})
	require.Equal(t, "how it is built: the Dockerfile is another; the settings of builds: target, arguments, or what is ignored; "+
		"variables that builds may read; the base image base:1", why())
	s.build.build = func(context.Context, buildpipeline.Job) error { return models.Errorf(models.Failed, "no") }
	_, err := s.push(t, 5)
	require.Error(t, err)
	require.Contains(t, why(), "it ended before its inputs were known: failed")
}

func TestPrebuiltImageGoesLive(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	build, err := s.DeployImage(t.Context(), s.actor, s.live(t), "registry.example.com/team/app:1.2")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		release, err := s.Store.Release(t.Context(), *s.live(t).LiveReleaseID)
		require.NoError(t, err)
		return release.Image == "id of registry.example.com/team/app:1.2"
	}, patience, tick)
	require.Equal(t, oid(1), s.main(t), "no commit is live, and none is lost")
	explained, err := s.Explain(t.Context(), s.app, build.Number)
	require.NoError(t, err)
	require.Equal(t, []string{"the image registry.example.com/team/app:1.2 was taken as it is"}, explained.Reasons)
	for _, wrong := range []string{"", "a b", "../x", "$(id)", strings.Repeat("a", 300)} {
		_, err := s.DeployImage(t.Context(), s.actor, s.live(t), wrong)
		require.True(t, models.IsCode(err, models.Invalid), wrong)
	}
}
