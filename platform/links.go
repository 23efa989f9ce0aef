package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// How long one-time links are good, and for how long a spent one is told from
// one that never was.
const (
	setupLife    = 7 * 24 * time.Hour
	passwordLife = 24 * time.Hour
	spentLife    = 30 * 24 * time.Hour
)

// Link is a one-time address for a browser. It is shown once.
type Link struct {
	URL       string
	ExpiresAt time.Time
}

// SetupLink returns a fresh link with which the first admin sets name, e-mail
// address and password, and ends the former one. Once an admin has a password it
// returns nil.
func (p *Platform) SetupLink(ctx context.Context) (*Link, error) {
	yes := true
	admins, err := p.Store.Users(ctx, store.UserFilter{Admin: &yes}, models.PageRequest{Sort: "created_at", Limit: 1 << 20})
	if err != nil || len(admins.Items) == 0 {
		return nil, err
	}
	for _, admin := range admins.Items {
		if admin.PasswordHash != "" {
			return nil, nil
		}
	}
	first := admins.Items[0]
	made, token := p.newLink(first, models.OneTimeSetup)
	err = p.commit(ctx, models.Actor{Name: "sky"}, fact{kind: "setup.link", detail: first.Name}, func(tx *store.Store) error {
		return tx.ReplaceOneTimeToken(ctx, &token)
	})
	return made, err
}

// MakePasswordLink lets an admin give somebody a link to set a password with; a
// former one ends.
func (p *Platform) MakePasswordLink(ctx context.Context, actor models.Actor, name string) (*Link, error) {
	if err := permitPlatform(actor); err != nil {
		return nil, err
	}
	user, err := p.userNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	made, token := p.newLink(user, models.OneTimePassword)
	err = p.commit(ctx, actor, fact{kind: "user.link", detail: user.Name}, func(tx *store.Store) error {
		return tx.ReplaceOneTimeToken(ctx, &token)
	})
	return made, err
}

func (p *Platform) newLink(user models.User, purpose models.OneTimePurpose) (*Link, models.OneTimeToken) {
	life := passwordLife
	if purpose == models.OneTimeSetup {
		life = setupLife
	}
	text, at := newSecret(), now()
	token := models.OneTimeToken{
		ID: models.NewID(), UserID: user.ID, Purpose: purpose, Hash: hashToken(text), ExpiresAt: at.Add(life), CreatedAt: at,
	}
	return &Link{URL: p.Settings.PublicURL + "/" + string(purpose) + "/" + text, ExpiresAt: token.ExpiresAt}, token
}

// LinkOwner returns whose link a one-time token is, without using it. One that
// never was is Forbidden; one that was used or has expired is Gone.
func (p *Platform) LinkOwner(ctx context.Context, purpose models.OneTimePurpose, text string) (models.User, error) {
	token, err := p.openLink(ctx, purpose, text)
	if err != nil {
		return models.User{}, err
	}
	return p.Store.User(ctx, token.UserID)
}

func (p *Platform) openLink(ctx context.Context, purpose models.OneTimePurpose, text string) (models.OneTimeToken, error) {
	token, err := p.Store.OneTimeToken(ctx, hashToken(text))
	if models.IsCode(err, models.NotFound) || (err == nil && token.Purpose != purpose) {
		return models.OneTimeToken{}, models.Errorf(models.Forbidden, "the link is not valid").WithField("token").WithRemedy("%s", remedyOf(purpose))
	}
	if err == nil && token.UsedAt != nil {
		return models.OneTimeToken{}, spentLink(purpose)
	}
	if err == nil && !token.ExpiresAt.After(now()) {
		return models.OneTimeToken{}, models.Errorf(models.Gone, "the link has expired").WithField("token").WithRemedy("%s", remedyOf(purpose))
	}
	return token, err
}

func spentLink(purpose models.OneTimePurpose) error {
	return models.Errorf(models.Gone, "the link was used already").WithField("token").WithRemedy("%s", remedyOf(purpose))
}

func remedyOf(purpose models.OneTimePurpose) string {
	if purpose == models.OneTimeSetup {
		return "use the newest link that Sky printed at its start; while no admin has a password, each start prints one"
	}
	return "ask an admin of the platform for a fresh one"
}

// SetupChoice is what the first admin decides. An empty name stays as it is.
type SetupChoice struct {
	Token    string
	Name     string
	Email    string
	Password string
	Address  string
}

// Setup gives the first admin a name, an e-mail address and a password, and
// spends the link. What is refused spends nothing.
func (p *Platform) Setup(ctx context.Context, choice SetupChoice) (models.User, error) {
	token, err := p.openLink(ctx, models.OneTimeSetup, choice.Token)
	if err != nil {
		return models.User{}, err
	}
	before, err := p.Store.User(ctx, token.UserID)
	if err != nil {
		return models.User{}, err
	}
	after := before
	if choice.Name != "" {
		after.Name = choice.Name
	}
	if err := models.CheckUserName(after.Name); err != nil {
		return models.User{}, err
	}
	email, err := models.CleanEmail(choice.Email)
	if err != nil {
		return models.User{}, err
	}
	after.Email, after.EmailProven = &email, vouched
	if after.PasswordHash, err = p.newPassword(ctx, after, choice.Password); err != nil {
		return models.User{}, err
	}
	actor := models.Actor{UserID: before.ID, Name: after.Name, Via: "setup link", Address: choice.Address}
	err = p.commit(ctx, actor, fact{kind: "setup.complete", detail: after.Name}, func(tx *store.Store) error {
		if err := tx.SpendOneTimeToken(ctx, token.ID, now()); err != nil {
			return err
		}
		if err := renameHome(ctx, tx, before, after.Name); err != nil {
			return err
		}
		return putPassword(ctx, tx, after)
	})
	return after, p.linkError(ctx, models.OneTimeSetup, after, err)
}

// linkError names what a change of a user by a link failed of.
func (p *Platform) linkError(ctx context.Context, purpose models.OneTimePurpose, wanted models.User, err error) error {
	if models.IsCode(err, models.Gone) {
		return spentLink(purpose)
	}
	return p.takenError(ctx, wanted, err)
}

// UsePasswordLink sets the password of a link's owner, ends their sessions and
// spends the link.
func (p *Platform) UsePasswordLink(ctx context.Context, text, password, address string) (models.User, error) {
	token, err := p.openLink(ctx, models.OneTimePassword, text)
	if err != nil {
		return models.User{}, err
	}
	user, err := p.Store.User(ctx, token.UserID)
	if err != nil {
		return models.User{}, err
	}
	if user.PasswordHash, err = p.newPassword(ctx, user, password); err != nil {
		return models.User{}, err
	}
	actor := models.Actor{UserID: user.ID, Name: user.Name, Via: "password link", Address: address}
	err = p.commit(ctx, actor, fact{kind: "account.password"}, func(tx *store.Store) error {
		if err := tx.SpendOneTimeToken(ctx, token.ID, now()); err != nil {
			return err
		}
		return putPassword(ctx, tx, user)
	})
	return user, p.linkError(ctx, models.OneTimePassword, user, err)
}

// newPassword checks and hashes the user's new password.
func (p *Platform) newPassword(ctx context.Context, user models.User, password string) (string, error) {
	if err := checkPassword(user, password); err != nil {
		return "", err
	}
	return p.access().hasher.hash(ctx, password)
}

// putPassword writes the user's name, address and password hash, in a
// transaction. It ends their links and their sessions.
func putPassword(ctx context.Context, tx *store.Store, wanted models.User) error {
	_, err := tx.UpdateUser(ctx, wanted.ID, func(row *models.User) error {
		row.Name, row.Email, row.EmailProven, row.PasswordHash = wanted.Name, wanted.Email, wanted.EmailProven, wanted.PasswordHash
		return nil
	})
	if err != nil {
		return err
	}
	return endFormerAccess(ctx, tx, wanted.ID, nil)
}

// endFormerAccess ends what a user's former password let in, in a transaction:
// their links, and their sessions but for the one kept.
func endFormerAccess(ctx context.Context, tx *store.Store, user models.ID, keep *models.ID) error {
	if err := tx.DeleteOneTimeTokens(ctx, user); err != nil {
		return err
	}
	return tx.DeleteSessions(ctx, user, keep)
}

// renameHome renames the Organisation that bears the user's name along with
// them. Where that is not free, it keeps its own.
func renameHome(ctx context.Context, tx *store.Store, user models.User, name string) error {
	if user.Name == name || models.CheckOrganisationName(name) != nil {
		return nil
	}
	home, err := tx.OrganisationByName(ctx, user.Name)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := tx.OrganisationByName(ctx, name); !models.IsCode(err, models.NotFound) {
		return err
	}
	member, err := tx.Membership(ctx, home.ID, user.ID)
	if models.IsCode(err, models.NotFound) || (err == nil && member.Role != models.RoleOwner) {
		return nil // it only happens to have the same name
	}
	if err != nil {
		return err
	}
	_, err = tx.UpdateOrganisation(ctx, home.ID, func(row *models.Organisation) error {
		row.Name = name
		return nil
	})
	return err
}
