package platform

import (
	"context"
	"sync"
	"testing"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// shelf is a registry that knows names only.
type shelf struct {
	mu        sync.Mutex
	manifests map[string]bool // app/manifest
}

func (s *shelf) put(app models.ID, manifest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[app.String()+"/"+manifest] = true
}

func (s *shelf) Publish(_ context.Context, image string, app models.ID) (string, error) {
	s.put(app, "of "+image)
	return "of " + image, nil
}

func (s *shelf) Share(_ context.Context, _ models.ID, manifest string, to models.ID) error {
	s.put(to, manifest)
	return nil
}

func (s *shelf) Has(_ context.Context, app models.ID, manifest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifests[app.String()+"/"+manifest]
}
func (s *shelf) Retain(context.Context, models.ID, []string) error { return nil }
func (s *shelf) Sweep(context.Context) error                       { return nil }

// afar is a builder elsewhere: no engine here holds its images.
type afar struct {
	*builder
	shelf *shelf
	jobs  []buildpipeline.Job
}

func (a *afar) Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error) {
	a.jobs = append(a.jobs, job)
	result, err := a.builder.Build(ctx, job)
	result.Builder = "one"
	if err == nil {
		result.Manifest, err = a.shelf.Publish(ctx, result.Image, job.AppID)
	}
	return result, err
}

func (a *afar) HasImage(context.Context, string) bool { return false }

// TestWhatABuilderMadeNeedsNoEngine deploys, changes, rolls back and promotes what is in
// the registry alone.
func TestWhatABuilderMadeNeedsNoEngine(t *testing.T) {
	images := &shelf{manifests: map[string]bool{}}
	var workshop *afar
	s := newStage(t, func(p *Platform) {
		workshop = &afar{builder: p.Builder.(*builder), shelf: images}
		p.Images, p.Builder = images, workshop
	})
	workshop.inputs = models.BuildInputs{Files: "files"}
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	build, err := s.BuildNumber(t.Context(), s.app, 1)
	require.NoError(t, err)
	require.Equal(t, "one", build.Builder)
	former := []buildpipeline.Former{{Fingerprint: build.Fingerprint, Number: 1, Image: build.Image, Manifest: build.Manifest}}
	require.Equal(t, former, workshop.jobs[1].Formers)

	changed, err := s.ChangeConfig(t.Context(), s.actor, s.live(t), ConfigChange{Set: map[string]string{"A": "b"}}, silent{})
	require.NoError(t, err)
	require.Equal(t, "of image-2", changed.Manifest)
	back, err := s.Rollback(t.Context(), s.actor, s.live(t), 1, silent{})
	require.NoError(t, err)
	require.Equal(t, "of image-1", back.Manifest)
	other, err := s.CreateApp(t.Context(), s.actor, NewApp{Name: "other"})
	require.NoError(t, err)
	promoted, err := s.Promote(t.Context(), s.actor, Promotion{From: s.live(t), To: other}, silent{})
	require.NoError(t, err)
	require.True(t, images.Has(t.Context(), other.ID, promoted.Manifest))
	require.Equal(t, "image-1", promoted.Image)

	images.manifests = map[string]bool{}
	_, err = s.Rollback(t.Context(), s.actor, s.live(t), 2, silent{})
	require.ErrorContains(t, err, "the image of v2 is gone")
}
