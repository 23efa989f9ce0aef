package platform

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// The bounds of a link.
const (
	maxPaths        = 50
	maxPathLength   = 200
	maxPreviewHours = 24 * 90
	maxPreviews     = 100
	// The defaults for previews.
	previewHours = 72
	previewMost  = 5
)

// GitHubLinkChange is what of a link to set; nil leaves a field as it is.
type GitHubLinkChange struct {
	Branch        *string
	Paths         *[]string
	AutoDeploy    *bool
	Previews      *bool
	PreviewPlan   *string // its name; empty is the App's own
	PreviewHours  *int
	PreviewMost   *int
	PreviewHidden *[]string
}

// applyLink changes the link's settings.
func (p *Platform) applyLink(ctx context.Context, link *models.GitHubLink, change GitHubLinkChange) error {
	if change.Branch != nil {
		if err := models.CheckBranch(*change.Branch); err != nil {
			return models.AsError(err).WithField("branch")
		}
		link.Ref = branchPrefix + *change.Branch
	}
	if change.Paths != nil {
		if err := checkPaths(*change.Paths); err != nil {
			return err
		}
		link.Paths = *change.Paths
	}
	put(&link.AutoDeploy, change.AutoDeploy)
	return p.applyPreviews(ctx, link, change)
}

// applyPreviews changes what the link says of previews.
func (p *Platform) applyPreviews(ctx context.Context, link *models.GitHubLink, change GitHubLinkChange) error {
	put(&link.Previews, change.Previews)
	put(&link.PreviewHours, change.PreviewHours)
	put(&link.PreviewMost, change.PreviewMost)
	put(&link.PreviewHidden, change.PreviewHidden)
	if link.PreviewHours < 1 || link.PreviewHours > maxPreviewHours {
		return models.Errorf(models.Invalid, "previews live for 1 to %d hours", maxPreviewHours).WithField("preview_hours")
	}
	if link.PreviewMost < 1 || link.PreviewMost > maxPreviews {
		return models.Errorf(models.Invalid, "there may be 1 to %d previews at a time", maxPreviews).WithField("preview_most")
	}
	for _, key := range link.PreviewHidden {
		if err := models.CheckEnvKey(key); err != nil {
			return models.AsError(err).WithField("preview_hidden")
		}
	}
	if change.PreviewPlan == nil {
		return nil
	}
	link.PreviewPlanID = nil
	if *change.PreviewPlan == "" {
		return nil
	}
	plan, err := p.choosePlan(ctx, *change.PreviewPlan)
	if models.IsCode(err, models.Invalid) || models.IsCode(err, models.NotFound) {
		return models.AsError(err).WithField("preview_plan")
	}
	link.PreviewPlanID = plan
	return err
}

// checkPaths says what is wrong with path filters. They are written as in a
// .dockerignore file: ** is any number of directories, and ! takes files out.
func checkPaths(paths []string) error {
	wrong := func(text string) error {
		return models.Errorf(models.Invalid, "%s", text).WithField("paths").
			WithRemedy("write patterns such as apps/web/** or !**/*.md")
	}
	if len(paths) > maxPaths {
		return wrong(fmt.Sprintf("there may be %d path filters", maxPaths))
	}
	for _, path := range paths {
		if strings.Trim(path, "! ") == "" || strings.TrimSpace(path) != path || narrative.Clean(path) != path || len(path) > maxPathLength || strings.HasPrefix(path, "/") || strings.Contains(path, "..") {
			return wrong(fmt.Sprintf("%.100q is no path filter", path))
		}
	}
	if _, err := patternmatcher.New(paths); err != nil {
		return wrong("a path filter is not well formed")
	}
	return nil
}
