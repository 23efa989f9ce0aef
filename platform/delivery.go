package platform

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// Images carries images to nodes whose engine did not build them.
type Images interface {
	// Publish makes an image be there for nodes to pull, and returns the digest of
	// its manifest. What is there already is not sent again.
	Publish(ctx context.Context, image string, app models.ID) (manifest string, err error)
	// Share makes a manifest of one App's be another's too.
	Share(ctx context.Context, from models.ID, manifest string, to models.ID) error
	// Has reports whether a manifest is there.
	Has(ctx context.Context, app models.ID, manifest string) bool
	// Retain removes the App's manifests but for those to keep.
	Retain(ctx context.Context, app models.ID, keep []string) error
	// Sweep removes what no manifest names any more.
	Sweep(ctx context.Context) error
}

// deliver makes a Release's image be there for every node. On the machine that
// built it, it is; others pull it.
func (p *Platform) deliver(ctx context.Context, release *models.Release) error {
	elsewhere, err := p.hasOtherNodes(ctx)
	if err != nil || !elsewhere || p.Images == nil {
		return err
	}
	if p.published(ctx, release.AppID, release.Manifest) {
		return nil
	}
	manifest, err := p.Images.Publish(ctx, release.Image, release.AppID)
	if err != nil {
		return fmt.Errorf("publish the image: %w", err)
	}
	release.Manifest = manifest
	return p.Store.SetManifest(ctx, release.ID, manifest)
}

// published reports whether nodes can pull a manifest of the App's.
func (p *Platform) published(ctx context.Context, app models.ID, manifest string) bool {
	return p.Images != nil && manifest != "" && p.Images.Has(ctx, app, manifest)
}

// hasOtherNodes reports whether there is a node beside the machine that builds.
func (p *Platform) hasOtherNodes(ctx context.Context) (bool, error) {
	nodes, err := p.Store.Nodes(ctx)
	for _, node := range nodes {
		if node.State != models.NodeRemoved && node.Name != p.Settings.LocalNode {
			return true, nil
		}
	}
	return false, err
}

// source is what a node pulls when it has not got a Release's image; empty where
// nothing was published.
func source(release models.Release) string {
	if release.Manifest == "" {
		return ""
	}
	return release.AppID.String() + "@" + release.Manifest
}

// NodeRuns reports whether the node is to run the App whose id a repository is
// named by: only then does it pull from there.
func (p *Platform) NodeRuns(ctx context.Context, node models.ID, repository string) bool {
	app, err := models.ParseID(repository)
	if err != nil {
		return false
	}
	instances, err := p.Store.InstancesOnNode(ctx, node)
	if err != nil {
		p.Log.Error("look up what a node runs", "error", err)
		return false
	}
	for _, instance := range instances {
		if instance.AppID == app {
			return true
		}
	}
	return false
}
