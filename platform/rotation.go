package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// Rotation is the outcome of a change of the master key.
type Rotation struct {
	Key      string // the id of the key that seals from now on
	Resealed int
}

// RotateKeys puts a fresh master key into the ring and seals everything with it
// anew. Apps, logins and agents notice nothing: a former key stays in the ring
// until no agent has a credential that it signed. It may be interrupted and
// called again. It is for admins of the platform.
func (p *Platform) RotateKeys(ctx context.Context, actor models.Actor) (Rotation, error) {
	if err := permitPlatform(actor); err != nil {
		return Rotation{}, err
	}
	p.rotating.Lock()
	defer p.rotating.Unlock()
	fresh, err := p.Vault.rotate(now())
	if err != nil {
		return Rotation{}, err
	}
	p.record(ctx, actor, fact{kind: "keys.rotate", detail: fresh})
	total, err := p.resealAll(ctx)
	return Rotation{fresh, total}, err
}

// resealAll seals with the newest key what is sealed with another, until there
// is nothing: what somebody sealed with a former key while the first round ran is
// found by the next.
func (p *Platform) resealAll(ctx context.Context) (int, error) {
	total := 0
	for {
		resealed, err := p.Store.Reseal(ctx, p.reseal())
		total += resealed
		if err != nil || resealed == 0 {
			return total, err
		}
	}
}

// dropKeys drops master keys that were retired long enough ago, once nothing is
// sealed with them.
func (p *Platform) dropKeys(ctx context.Context, at time.Time) error {
	p.rotating.Lock()
	defer p.rotating.Unlock()
	cutoff := at.Add(-AgentTokenLife - time.Hour)
	if !p.Vault.hasRetired(cutoff) {
		return nil
	}
	if _, err := p.resealAll(ctx); err != nil {
		return err
	}
	return p.Vault.prune(cutoff)
}

func (p *Platform) reseal() store.Reseal {
	anew := func(at place, sealed []byte) ([]byte, error) {
		if p.Vault.isCurrent(sealed) {
			return nil, nil
		}
		plain, err := p.Vault.open(at, sealed)
		if err != nil {
			return nil, err
		}
		return p.Vault.seal(at, plain)
	}
	return store.Reseal{
		EnvVar:  func(row models.EnvVar) ([]byte, error) { return anew(ofApp(row.AppID, "env "+row.Key), row.Value) },
		Release: func(row models.Release) ([]byte, error) { return anew(releasePlace(row), row.Config) },
		User:    func(row models.User) ([]byte, error) { return anew(totpPlace(row.ID), row.TOTPSecret) },
		IdempotencyKey: func(row models.IdempotencyKey) ([]byte, error) {
			return anew(answerPlace(row), row.Answer)
		},
		GitHub: store.GitHub{
			ClientSecret: func(row models.GitHubHost) ([]byte, error) {
				return anew(hostPlace(row, "client_secret"), row.ClientSecret)
			},
			PrivateKey: func(row models.GitHubHost) ([]byte, error) {
				return anew(hostPlace(row, "private_key"), row.PrivateKey)
			},
			WebhookSecret: func(row models.GitHubHost) ([]byte, error) {
				return anew(hostPlace(row, "webhook_secret"), row.WebhookSecret)
			},
			Token:      func(row models.GitHubConnection) ([]byte, error) { return anew(tokenPlace(row.UserID), row.Token) },
			Refresh:    func(row models.GitHubConnection) ([]byte, error) { return anew(refreshPlace(row.UserID), row.Refresh) },
			LinkSecret: func(row models.GitHubLink) ([]byte, error) { return anew(linkPlace(row), row.Secret) },
		},
	}
}
