package platform

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/skypanel/sky/models"
)

// SBOM returns the packages in a Release's image, as a CycloneDX document. It is
// made after a deployment; where that did not happen it is made now, which may
// take some seconds, as long as the image is there.
func (p *Platform) SBOM(ctx context.Context, app models.App, number int) ([]byte, error) {
	release, err := p.Store.ReleaseByNumber(ctx, app.ID, number)
	if models.IsCode(err, models.NotFound) {
		return nil, models.Errorf(models.NotFound, "%s has no release v%d", app.Name, number).WithField("release").
			WithRemedy("`sky releases` lists them")
	}
	if err != nil {
		return nil, err
	}
	kept, err := p.Store.SBOM(ctx, app.ID, release.Image)
	if err == nil {
		return unpack(kept.Document)
	}
	if !models.IsCode(err, models.NotFound) {
		return nil, err
	}
	document, err := p.listPackages(ctx, app, release)
	if models.IsCode(err, models.NotFound) {
		return nil, models.Errorf(models.NotFound, "the packages of %s were never listed, and its image is gone from this server", release.Name()).
			WithRemedy("push its commit %s again", short(release.Commit))
	}
	return document, err
}

// keepSBOM lists the packages of what is live, unless that was done.
func (p *Platform) keepSBOM(ctx context.Context, id models.ID) error {
	app, err := p.Store.App(ctx, id)
	if err != nil || app.LiveReleaseID == nil {
		return err
	}
	release, err := p.Store.Release(ctx, *app.LiveReleaseID)
	if err != nil {
		return err
	}
	if _, err = p.Store.SBOM(ctx, app.ID, release.Image); models.IsCode(err, models.NotFound) {
		_, err = p.listPackages(ctx, app, release)
	}
	if _, gone := p.Store.App(ctx, id); models.IsCode(gone, models.NotFound) {
		return nil // destroyed meanwhile, and the list with it
	}
	return err
}

func (p *Platform) listPackages(ctx context.Context, app models.App, release models.Release) ([]byte, error) {
	document, err := p.Builder.Packages(ctx, app, release.Image)
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", release.Name(), err)
	}
	packed, err := pack(document)
	if err != nil {
		return nil, err
	}
	return document, p.Store.KeepSBOM(ctx, &models.SBOM{AppID: app.ID, Image: release.Image, Document: packed, CreatedAt: now()})
}

func pack(document []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	defer func() { _ = encoder.Close() }()
	return encoder.EncodeAll(document, nil), nil
}

func unpack(packed []byte) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	defer decoder.Close()
	document, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return document, nil
}
