package platform

import (
	"context"
	"fmt"
	"strings"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// UsersAsked narrows a list of users; nil takes all.
type UsersAsked struct {
	Search          string
	Admin, Disabled *bool
}

// Users lists everybody, for an admin of the platform.
func (p *Platform) Users(ctx context.Context, actor models.Actor, asked UsersAsked, page models.PageRequest) (models.Page[models.User], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[models.User]{}, err
	}
	return p.Store.Users(ctx, store.UserFilter{Search: asked.Search, Admin: asked.Admin, Disabled: asked.Disabled}, page)
}

// User returns somebody by their name, for an admin of the platform.
func (p *Platform) User(ctx context.Context, actor models.Actor, name string) (models.User, error) {
	if err := permitPlatform(actor); err != nil {
		return models.User{}, err
	}
	return p.userNamed(ctx, name)
}

// NewUser is somebody to let in.
type NewUser struct {
	Name  string
	Email string // empty is none
	Admin bool
}

// CreateUser lets somebody in, who sets a password by the link. They own an
// Organisation of their name, where that is free.
func (p *Platform) CreateUser(ctx context.Context, actor models.Actor, wanted NewUser) (models.User, *Link, error) {
	if err := permitPlatform(actor); err != nil {
		return models.User{}, nil, err
	}
	user := models.User{ID: models.NewID(), Name: wanted.Name, Admin: wanted.Admin, CreatedAt: now()}
	if err := models.CheckUserName(user.Name); err != nil {
		return models.User{}, nil, err
	}
	if err := putEmail(&user, &wanted.Email, vouched); err != nil {
		return models.User{}, nil, err
	}
	link, token := p.newLink(user, models.OneTimePassword)
	err := p.commit(ctx, actor, fact{kind: "user.create", detail: describeUser(user)}, func(tx *store.Store) error {
		if err := createUser(ctx, tx, &user); err != nil {
			return err
		}
		if err := giveHome(ctx, tx, user); err != nil {
			return err
		}
		return tx.ReplaceOneTimeToken(ctx, &token)
	})
	if err != nil {
		return models.User{}, nil, p.takenError(ctx, user, err)
	}
	return user, link, nil
}

// giveHome makes an Organisation of the user's name, where that is free and can
// be one.
func giveHome(ctx context.Context, tx *store.Store, user models.User) error {
	if models.CheckOrganisationName(user.Name) != nil {
		return nil
	}
	if _, err := tx.OrganisationByName(ctx, user.Name); !models.IsCode(err, models.NotFound) {
		return err
	}
	home := models.Organisation{ID: models.NewID(), Name: user.Name, CreatedAt: user.CreatedAt}
	return tx.CreateOrganisation(ctx, &home, user.ID)
}

// Whether an address is known to be its account's.
const (
	claimed = false // only its owner says so
	vouched = true  // an admin of the platform says so, or a token that was sent there
)

// putEmail sets or, when it is empty, removes the address; nil leaves it, and so
// does the one that is there.
func putEmail(user *models.User, email *string, proven bool) error {
	if email == nil {
		return nil
	}
	if *email == "" {
		user.Email, user.EmailProven = nil, false
		return nil
	}
	clean, err := models.CleanEmail(*email)
	if err != nil {
		return err
	}
	if user.Email == nil || *user.Email != clean {
		user.EmailProven = false
	}
	user.Email, user.EmailProven = &clean, user.EmailProven || proven
	return nil
}

// createUser inserts user. A proven address is taken from who only claims it.
func createUser(ctx context.Context, tx *store.Store, user *models.User) error {
	if user.EmailProven {
		if err := tx.TakeClaimedEmail(ctx, *user.Email, user.ID); err != nil {
			return err
		}
	}
	return tx.CreateUser(ctx, user)
}

func describeUser(user models.User) string {
	return fmt.Sprintf("%s admin=%t disabled=%t", user.Name, user.Admin, user.Disabled)
}

// UserChange is what an admin changes of somebody; nil leaves it as it is.
type UserChange struct {
	Email           *string // empty removes it
	Admin, Disabled *bool
	// ResetTOTP turns two factors off, for who lost the second.
	ResetTOTP bool
}

// ChangeUser changes somebody, for an admin of the platform. The last admin who
// can log in stays one. Who is disabled is logged out everywhere.
func (p *Platform) ChangeUser(ctx context.Context, actor models.Actor, name, revision string, change UserChange) (models.User, error) {
	if err := permitPlatform(actor); err != nil {
		return models.User{}, err
	}
	user, err := p.userNamed(ctx, name)
	if err != nil {
		return models.User{}, err
	}
	if err := putEmail(&user, change.Email, vouched); err != nil {
		return models.User{}, err
	}
	put(&user.Admin, change.Admin)
	put(&user.Disabled, change.Disabled)
	err = p.commit(ctx, actor, fact{kind: "user.change", detail: describeUser(user)}, func(tx *store.Store) error {
		changed, err := changeUser(ctx, tx, user.ID, revision, change)
		user = changed
		return err
	})
	return user, p.takenError(ctx, user, err)
}

func changeUser(ctx context.Context, tx *store.Store, id models.ID, revision string, change UserChange) (models.User, error) {
	if _, err := tx.LockAdmins(ctx); err != nil {
		return models.User{}, err
	}
	if change.Email != nil && *change.Email != "" {
		if err := tx.TakeClaimedEmail(ctx, *change.Email, id); err != nil {
			return models.User{}, err
		}
	}
	user, err := tx.UpdateUser(ctx, id, func(row *models.User) error {
		if err := models.CheckRevision(revision, row.Revision()); err != nil {
			return err
		}
		put(&row.Admin, change.Admin)
		put(&row.Disabled, change.Disabled)
		if change.ResetTOTP {
			clearTOTP(row)
		}
		return putEmail(row, change.Email, vouched)
	})
	if err != nil {
		return user, err
	}
	if user.Disabled || change.ResetTOTP {
		if err := tx.DeleteSessions(ctx, id, nil); err != nil {
			return user, err
		}
	}
	return user, needsAdmin(ctx, tx)
}

// needsAdmin refuses what leaves nobody to manage the platform.
func needsAdmin(ctx context.Context, tx *store.Store) error {
	admins, err := tx.LockAdmins(ctx)
	if err == nil && len(admins) == 0 {
		return models.Errorf(models.Conflict, "the platform keeps at least one admin").WithField("admin").
			WithRemedy("make somebody else an admin first")
	}
	return err
}

// DeleteUser removes somebody with their keys, tokens and sessions. Who is the
// last owner of an Organisation, or the last admin, stays.
func (p *Platform) DeleteUser(ctx context.Context, actor models.Actor, name string) error {
	if err := permitPlatform(actor); err != nil {
		return err
	}
	user, err := p.userNamed(ctx, name)
	if err != nil {
		return err
	}
	previews, err := p.Store.PreviewAppsOf(ctx, user.ID)
	if err != nil {
		return err
	}
	err = p.commit(ctx, actor, fact{kind: "user.delete", detail: user.Name}, func(tx *store.Store) error {
		if _, err := tx.LockAdmins(ctx); err != nil {
			return err
		}
		if err := tx.LockMemberships(ctx, user.ID); err != nil {
			return err
		}
		alone, err := tx.SoleOwnerOf(ctx, user.ID)
		if err != nil {
			return err
		}
		if len(alone) > 0 {
			return models.Errorf(models.Conflict, "%s is the last owner of %s", user.Name, strings.Join(alone, ", ")).WithField("user").
				WithRemedy("make somebody else an owner there, or destroy it: sky orgs")
		}
		if err := tx.DeleteUser(ctx, user.ID); err != nil {
			return err
		}
		return needsAdmin(ctx, tx)
	})
	if err != nil {
		return err
	}
	for _, app := range previews { // nobody's link would ever end them
		p.warn("end the preview of a deleted user", app, p.destroyApp(ctx, actor, app))
	}
	return nil
}

// userNamed returns the user with this name.
func (p *Platform) userNamed(ctx context.Context, name string) (models.User, error) {
	missing := models.Errorf(models.NotFound, "there is no user %q", narrative.Clean(name)).WithField("user").
		WithRemedy("`sky admin users list` shows them")
	if models.CheckUserName(name) != nil {
		return models.User{}, missing
	}
	user, err := p.Store.UserByLogin(ctx, name)
	if models.IsCode(err, models.NotFound) {
		return models.User{}, missing
	}
	return user, err
}

// takenError names the field of a user that somebody else has already.
func (p *Platform) takenError(ctx context.Context, wanted models.User, err error) error {
	if !models.IsCode(err, models.Conflict) {
		return err
	}
	if other, missing := p.Store.UserByLogin(ctx, wanted.Name); missing == nil && other.ID != wanted.ID {
		return models.Errorf(models.Conflict, "the user name %q is taken", wanted.Name).WithField("name").WithRemedy("choose another")
	}
	if wanted.Email == nil {
		return err
	}
	if other, missing := p.Store.UserByLogin(ctx, *wanted.Email); missing == nil && other.ID != wanted.ID {
		return models.Errorf(models.Conflict, "another account has that e-mail address").WithField("email").WithRemedy("use another")
	}
	return err
}
