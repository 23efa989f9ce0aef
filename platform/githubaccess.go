package platform

import (
	"context"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
)

// removeHook removes the webhook at GitHub. Where that cannot be done, what it
// delivers from then on finds no link.
func (p *Platform) removeHook(ctx context.Context, app models.App, link models.GitHubLink) {
	if link.HookID == 0 {
		return
	}
	access, err := p.linkAccess(ctx, link)
	if err == nil {
		err = access.client.RemoveHook(ctx, link.Repository, link.HookID)
	}
	p.warn("remove the webhook", app, err)
}

// installHook makes or mends the link's webhook. A GitHub App has one for all.
func (p *Platform) installHook(ctx context.Context, link *models.GitHubLink) error {
	if link.Installation != 0 || link.Branch() == "" {
		return nil
	}
	access, err := p.linkAccess(ctx, *link)
	if err != nil {
		return err
	}
	hook, err := p.hookOf(*link)
	if err != nil {
		return err
	}
	if link.HookID, err = access.client.EnsureHook(ctx, link.Repository, hook); err != nil {
		return err
	}
	_, err = p.Store.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
		row.HookID = link.HookID
		return nil
	})
	return err
}

func (p *Platform) hookOf(link models.GitHubLink) (github.Hook, error) {
	secret, err := p.Vault.open(linkPlace(link), link.Secret)
	return github.Hook{ID: link.HookID, URL: p.Settings.PublicURL + WebhookPath + "/" + link.ID.String(), Secret: string(secret)}, err
}

// linkAccess is how a link reaches its repository.
type linkAccess struct {
	host   github.Host
	client *github.Client
	token  string
}

// remote is the repository, for git.
func (a linkAccess) remote(link models.GitHubLink) Remote {
	return Remote{URL: a.host.CloneURL(link.Repository), Token: a.token}
}

// installationToken returns a token for the link's repository, from the last
// hour's where there is one.
func (p *Platform) installationToken(ctx context.Context, host github.Host, link models.GitHubLink) (string, error) {
	p.renewing.Lock()
	defer p.renewing.Unlock()
	key := [2]int64{link.Installation, link.RepositoryID}
	if held, found := p.installations[key]; found && held.ExpiresAt.After(now().Add(renewBefore)) {
		return held.Token, nil
	}
	grant, err := host.Installation(ctx, link.Installation, link.RepositoryID)
	if err != nil {
		return "", err
	}
	if p.installations == nil || len(p.installations) > maxInstallationTokens {
		p.installations = map[[2]int64]github.Grant{}
	}
	p.installations[key] = grant
	return grant.Token, nil
}

// linkAccess returns how the link's repository is reached now.
func (p *Platform) linkAccess(ctx context.Context, link models.GitHubLink) (linkAccess, error) {
	host, _, err := p.gitHub(ctx)
	if err != nil {
		return linkAccess{}, err
	}
	access := linkAccess{host: host}
	if link.Installation != 0 {
		access.token, err = p.installationToken(ctx, host, link)
	} else {
		access.token, err = p.userToken(ctx, host, link.UserID)
	}
	if err != nil {
		return access, err
	}
	access.client, err = host.As(access.token)
	return access, err
}

// maxInstallationTokens bounds the tokens that are kept for an hour.
const maxInstallationTokens = 10_000
