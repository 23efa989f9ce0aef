package platform

import (
	"context"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// self returns the actor's own row.
func (p *Platform) self(ctx context.Context, actor models.Actor, action models.Action) (models.User, error) {
	if err := permitAccount(actor, action); err != nil {
		return models.User{}, err
	}
	return p.Store.User(ctx, actor.UserID)
}

// Account returns the actor's own account.
func (p *Platform) Account(ctx context.Context, actor models.Actor) (models.User, error) {
	return p.self(ctx, actor, models.AccountRead)
}

// AccountChange is what somebody changes of their own account; nil leaves it as
// it is. An empty Email removes it; another one is a claim until it is proven.
type AccountChange struct{ Email *string }

// ChangeAccount changes the actor's own account.
func (p *Platform) ChangeAccount(ctx context.Context, actor models.Actor, revision string, change AccountChange) (models.User, error) {
	user, err := p.self(ctx, actor, models.AccountManage)
	if err != nil {
		return models.User{}, err
	}
	if err := putEmail(&user, change.Email, claimed); err != nil {
		return models.User{}, err
	}
	wanted := user
	err = p.commit(ctx, actor, fact{kind: "account.change"}, func(tx *store.Store) error {
		user, err = tx.UpdateUser(ctx, wanted.ID, func(row *models.User) error {
			if err := models.CheckRevision(revision, row.Revision()); err != nil {
				return err
			}
			return putEmail(row, change.Email, claimed)
		})
		return err
	})
	return user, p.takenError(ctx, wanted, err)
}

// ChangePassword sets a new password for who knows the current one. The session
// that asks stays, all others end.
func (p *Platform) ChangePassword(ctx context.Context, actor models.Actor, current, fresh string) error {
	user, err := p.self(ctx, actor, models.AccountManage)
	if err != nil {
		return err
	}
	if err := p.provePassword(ctx, actor, user, current, "current"); err != nil {
		return err
	}
	before := user.PasswordHash
	if user.PasswordHash, err = p.newPassword(ctx, user, fresh); err != nil {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "account.password"}, func(tx *store.Store) error {
		_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error {
			if row.PasswordHash != before {
				return models.Errorf(models.Stale, "the password was changed meanwhile")
			}
			row.PasswordHash = user.PasswordHash
			return nil
		})
		if err != nil {
			return err
		}
		return endFormerAccess(ctx, tx, user.ID, actor.SessionID)
	})
}

// provePassword refuses who does not know the user's password; field is where it
// was given. It counts as an attempt to log in.
func (p *Platform) provePassword(ctx context.Context, actor models.Actor, user models.User, password, field string) error {
	if err := p.access().attempt(user.ID.String(), ""); err != nil {
		return err
	}
	right, err := p.access().hasher.verify(ctx, password, user.PasswordHash)
	if err != nil || right {
		return err
	}
	p.record(ctx, actor, fact{kind: "account.refuse", detail: "wrong password"})
	return models.Errorf(models.Forbidden, "the password is wrong").WithField(field).WithRemedy("pass your current password")
}
