package platform

import (
	"context"
	"strings"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// SessionLife is how long a session lives however much it is used.
const SessionLife = 30 * 24 * time.Hour

// sessionIdle is how long one lives that is not.
const sessionIdle = 7 * 24 * time.Hour

// Credentials are what somebody logs in with.
type Credentials struct {
	Login    string // name or e-mail address
	Password string
	Code     string // the second factor, where the user has one
	Client   string // what the browser calls itself
	Address  string
	// Former is the cookie that the browser came with; its session ends.
	Former string
}

var errLogin = models.Errorf(models.Unauthorized, "the name or the password is wrong").
	WithRemedy("check both; an admin of the platform can make you a link to set a new password")

// Login begins a session and returns the text of its cookie, once. An unknown
// user, one without a password and a wrong password are refused alike.
func (p *Platform) Login(ctx context.Context, given Credentials) (models.Session, string, error) {
	if err := p.access().attempt(given.Login, given.Address); err != nil {
		return models.Session{}, "", err
	}
	user, err := p.authenticate(ctx, given)
	if err != nil {
		return models.Session{}, "", err
	}
	at, text := now(), newSecret()
	session := models.Session{
		ID: models.NewID(), UserID: user.ID, Hash: hashToken(text), Client: cleanClient(given.Client), Address: given.Address,
		ExpiresAt: at.Add(sessionIdle), SeenAt: at, CreatedAt: at,
	}
	actor := models.Actor{UserID: user.ID, Name: user.Name, Via: "password", Address: given.Address}
	err = p.commit(ctx, actor, fact{kind: "session.create", detail: session.Client}, func(tx *store.Store) error {
		if err := p.secondFactor(ctx, tx, user, given.Code); err != nil {
			return err
		}
		if former, err := tx.SessionByHash(ctx, hashToken(given.Former)); err == nil {
			if err := tx.DeleteSession(ctx, former.UserID, former.ID); err != nil {
				return err
			}
		}
		return tx.CreateSession(ctx, &session)
	})
	if err == nil {
		p.access().accounts.Forget(accountKey(given.Login))
	}
	if models.IsCode(err, models.Unauthorized) && given.Code != "" {
		p.record(ctx, actor, fact{kind: "session.refuse", detail: "wrong code"})
	}
	return session, text, err
}

// secondFactor takes a code of who has turned two factors on, in a transaction,
// so that one code lets one in.
func (p *Platform) secondFactor(ctx context.Context, tx *store.Store, user models.User, code string) error {
	if !user.TOTPEnabled {
		return nil
	}
	_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error {
		if !row.TOTPEnabled {
			return nil
		}
		return p.takeFactor(row, code)
	})
	return err
}

// authenticate returns the user who knows the password.
func (p *Platform) authenticate(ctx context.Context, given Credentials) (models.User, error) {
	user, err := p.Store.UserByLogin(ctx, strings.ToLower(given.Login))
	if err != nil && !models.IsCode(err, models.NotFound) {
		return models.User{}, err
	}
	right, err := p.access().hasher.verify(ctx, given.Password, user.PasswordHash)
	if err != nil {
		return models.User{}, err
	}
	actor := models.Actor{UserID: user.ID, Name: user.Name, Via: "password", Address: given.Address}
	if !right {
		if user.ID != (models.ID{}) {
			p.record(ctx, actor, fact{kind: "session.refuse", detail: "wrong password"})
		}
		return models.User{}, errLogin
	}
	if user.Disabled {
		return models.User{}, disabled(user)
	}
	return user, nil
}

func cleanClient(name string) string {
	name = narrative.Clean(name)
	return strings.ToValidUTF8(name[:min(len(name), maxName)], "")
}

var errSession = models.Errorf(models.Unauthorized, "the session is over").WithRemedy("log in again")

// ActorBySession returns whose session a cookie is, and keeps it alive.
func (p *Platform) ActorBySession(ctx context.Context, cookie string) (models.Actor, error) {
	session, err := p.Store.SessionByHash(ctx, hashToken(cookie))
	return p.actorOfSession(ctx, session, err)
}

func (p *Platform) actorOfSession(ctx context.Context, session models.Session, err error) (models.Actor, error) {
	at, end := now(), session.CreatedAt.Add(SessionLife)
	if models.IsCode(err, models.NotFound) || (err == nil && (!session.ExpiresAt.After(at) || !end.After(at))) {
		return models.Actor{}, errSession
	}
	if err != nil {
		return models.Actor{}, err
	}
	actor, err := p.actor(ctx, session.UserID, "session")
	if err != nil {
		return models.Actor{}, err
	}
	actor.Scopes, actor.SessionID = models.AllScopes(), &session.ID
	if since := at.Add(-usePrecision); session.SeenAt.Before(since) {
		expires := at.Add(sessionIdle)
		if expires.After(end) {
			expires = end
		}
		if err := p.Store.TouchSession(ctx, session.ID, since, at, expires); err != nil {
			p.Log.Warn("session", "error", err)
		}
	}
	return actor, nil
}

// Sessions lists actor's sessions.
func (p *Platform) Sessions(ctx context.Context, actor models.Actor, page models.PageRequest) (models.Page[models.Session], error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return models.Page[models.Session]{}, err
	}
	return p.Store.Sessions(ctx, actor.UserID, now(), page)
}

// EndSession ends one of actor's sessions, at once; "current" is the one that
// asks.
func (p *Platform) EndSession(ctx context.Context, actor models.Actor, id string) error {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return err
	}
	missing := models.Errorf(models.NotFound, "you have no such session").WithField("session").WithRemedy("`sky sessions list` shows yours")
	session, err := models.ParseID(id)
	if id == currentToken && actor.SessionID != nil {
		session, err = *actor.SessionID, nil
	}
	if err != nil {
		return missing
	}
	err = p.commit(ctx, actor, fact{kind: "session.end"}, func(tx *store.Store) error {
		return tx.DeleteSession(ctx, actor.UserID, session)
	})
	if models.IsCode(err, models.NotFound) {
		return missing
	}
	return err
}
