package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
)

func (p *Platform) sealGrant(connection *models.GitHubConnection, grant github.Grant) (err error) {
	connection.Scopes, connection.ExpiresAt, connection.Trouble, connection.Refresh = grant.Scopes, nil, "", nil
	if grant.ExpiresAt != nil {
		until := grant.ExpiresAt.Truncate(time.Microsecond)
		connection.ExpiresAt = &until
	}
	if grant.Refresh != "" {
		if connection.Refresh, err = p.Vault.seal(refreshPlace(connection.UserID), []byte(grant.Refresh)); err != nil {
			return err
		}
	}
	connection.Token, err = p.Vault.seal(tokenPlace(connection.UserID), []byte(grant.Token))
	return err
}

// userToken returns a User's token at GitHub, renewed where it is about to end.
func (p *Platform) userToken(ctx context.Context, host github.Host, user models.ID) (string, error) {
	p.renewing.Lock() // a refresh token counts once
	defer p.renewing.Unlock()
	connection, err := p.connectionOf(ctx, user)
	if err != nil {
		return "", err
	}
	if connection.Trouble != "" {
		return "", models.Errorf(models.Unauthorized, "%s", connection.Trouble).WithRemedy("connect again: sky github connect")
	}
	if connection.ExpiresAt != nil && connection.ExpiresAt.Before(now().Add(renewBefore)) && connection.Refresh != nil {
		return p.renewToken(ctx, host, connection)
	}
	token, err := p.Vault.open(tokenPlace(user), connection.Token)
	return string(token), err
}

func (p *Platform) renewToken(ctx context.Context, host github.Host, connection models.GitHubConnection) (string, error) {
	refresh, err := p.Vault.open(refreshPlace(connection.UserID), connection.Refresh)
	if err != nil {
		return "", err
	}
	grant, err := host.Renew(ctx, string(refresh))
	if models.IsCode(err, models.Unauthorized) {
		token, failed := p.Vault.open(tokenPlace(connection.UserID), connection.Token)
		if failed == nil {
			p.noteTrouble(ctx, connection.UserID, string(token))
		}
	}
	if err != nil {
		return "", err
	}
	_, err = p.Store.UpdateGitHubConnection(ctx, connection.ID, func(row *models.GitHubConnection) error {
		row.UpdatedAt = now()
		return p.sealGrant(row, grant)
	})
	return grant.Token, err
}

// distrust notes that GitHub takes a User's token no more, if it says so once more:
// what was refused may have been a former token, or one use of it.
func (p *Platform) distrust(ctx context.Context, user models.ID) {
	host, _, err := p.gitHub(ctx)
	if err != nil {
		return
	}
	token, err := p.userToken(ctx, host, user)
	if err != nil {
		return // what cannot be renewed was noted
	}
	client, err := host.As(token)
	if err == nil {
		_, err = client.Account(ctx)
	}
	if models.IsCode(err, models.Unauthorized) {
		p.noteTrouble(ctx, user, token)
	}
}

// noteTrouble notes that GitHub does not take a token, if it is the User's still.
func (p *Platform) noteTrouble(ctx context.Context, user models.ID, refused string) {
	connection, err := p.Store.GitHubConnection(ctx, user)
	if err == nil {
		_, err = p.Store.UpdateGitHubConnection(ctx, connection.ID, func(row *models.GitHubConnection) error {
			token, err := p.Vault.open(tokenPlace(user), row.Token)
			if err == nil && string(token) == refused {
				row.Trouble = "GitHub does not take the token any more"
			}
			return err
		})
	}
	if err != nil && !models.IsCode(err, models.NotFound) {
		p.Log.Error("note a revoked token", "error", err)
	}
}

// distrustLink has the token that a link was refused with asked for anew, or looked
// at.
func (p *Platform) distrustLink(ctx context.Context, link models.GitHubLink) {
	if link.Installation == 0 {
		p.distrust(ctx, link.UserID)
		return
	}
	p.renewing.Lock()
	defer p.renewing.Unlock()
	delete(p.installations, [2]int64{link.Installation, link.RepositoryID})
}
