package platform

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestPackagesOfAReleaseAreKept: they are listed after a deployment, without
// being asked for, and outlive the image.
func TestPackagesOfAReleaseAreKept(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := s.Store.SBOM(t.Context(), s.app.ID, "image-1")
		return err == nil
	}, patience, tick)
	s.build.setGone(true)
	document, err := s.SBOM(t.Context(), s.app, 1)
	require.NoError(t, err)
	require.JSONEq(t, `{"bomFormat": "CycloneDX", "of": "shop image-1"}`, string(document))
	require.NoError(t, s.keepSBOM(t.Context(), s.app.ID), "once is enough")
}

// TestPackagesAreListedOnDemand for a release that has none, while its image is there.
func TestPackagesAreListedOnDemand(t *testing.T) {
	s := newStage(t)
	s.build.setGone(true)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.lanes.wait()
	_, err = s.SBOM(t.Context(), s.app, 1)
	require.True(t, models.IsCode(err, models.NotFound))
	require.Contains(t, models.AsError(err).Remedy, "push its commit")
	s.build.setGone(false)
	document, err := s.SBOM(t.Context(), s.app, 1)
	require.NoError(t, err)
	require.Contains(t, string(document), "shop image-1")
	_, err = s.SBOM(t.Context(), s.app, 7)
	require.True(t, models.IsCode(err, models.NotFound))
}
