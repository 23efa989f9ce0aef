package platform

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	tokenPrefix = "sky_pat_"
	// maxTokens bounds how many API tokens one user has.
	maxTokens = 200
	maxName   = 100
	// usePrecision is how exactly the last use of a token or session is known.
	usePrecision = time.Minute
)

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken makes the text of an API token: a prefix that scanners know, 32
// random bytes, and a checksum that tells a typo from a revoked token.
func newToken() string {
	body := newSecret()
	return tokenPrefix + body + checksum(body)
}

// newSecret is 32 random bytes as text that is safe in cookies and addresses.
func newSecret() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	return tokenEncoding.EncodeToString(random)
}

func checksum(body string) string {
	sum := make([]byte, 4)
	binary.BigEndian.PutUint32(sum, crc32.ChecksumIEEE([]byte(body)))
	return tokenEncoding.EncodeToString(sum)
}

func wellFormed(token string) bool {
	body, ok := strings.CutPrefix(token, tokenPrefix)
	const sumLen = 7 // 4 bytes in base 32
	return ok && len(body) > sumLen && checksum(body[:len(body)-sumLen]) == body[len(body)-sumLen:]
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

var errToken = models.Errorf(models.Unauthorized, "the API token is not valid").
	WithRemedy("run `sky login`, or set SKY_TOKEN to a token that was not revoked")

// ActorByToken returns the owner of an API token.
func (p *Platform) ActorByToken(ctx context.Context, text string) (models.Actor, error) {
	if !wellFormed(text) {
		return models.Actor{}, errToken
	}
	token, err := p.Store.TokenByHash(ctx, hashToken(text))
	return p.actorOfToken(ctx, token, err)
}

func (p *Platform) actorOfToken(ctx context.Context, token models.Token, err error) (models.Actor, error) {
	at := now()
	if models.IsCode(err, models.NotFound) || (err == nil && token.ExpiresAt != nil && !token.ExpiresAt.After(at)) {
		return models.Actor{}, errToken
	}
	if err != nil {
		return models.Actor{}, err
	}
	actor, err := p.actor(ctx, token.UserID, "token "+token.Name)
	if err != nil {
		return models.Actor{}, err
	}
	actor.Scopes, actor.OrganisationID, actor.TokenID = token.Scopes, token.OrganisationID, &token.ID
	if since := at.Add(-usePrecision); token.UsedAt == nil || token.UsedAt.Before(since) {
		if err := p.Store.TouchToken(ctx, token.ID, since, at); err != nil {
			p.Log.Warn("token", "error", err)
		}
	}
	return actor, nil
}

// Renewed returns the actor as they are now, or why what they proved themselves
// with is good no more. What runs for long asks it again and again.
func (p *Platform) Renewed(ctx context.Context, actor models.Actor) (models.Actor, error) {
	fresh, err := actor, error(nil)
	switch {
	case actor.TokenID != nil:
		token, missing := p.Store.Token(ctx, *actor.TokenID)
		fresh, err = p.actorOfToken(ctx, token, missing)
	case actor.SessionID != nil:
		session, missing := p.Store.Session(ctx, *actor.SessionID)
		fresh, err = p.actorOfSession(ctx, session, missing)
	default:
		err = models.Errorf(models.Unauthorized, "nobody is logged in")
	}
	fresh.Address = actor.Address
	return fresh, err
}

// TokenView is a Token with the name of the Organisation that it is limited to.
type TokenView struct {
	models.Token
	Organisation string
}

// Tokens lists actor's API tokens; to a token of one Organisation, those of it.
func (p *Platform) Tokens(ctx context.Context, actor models.Actor, page models.PageRequest) (models.Page[TokenView], error) {
	if err := permitTokens(actor, models.AccountRead); err != nil {
		return models.Page[TokenView]{}, err
	}
	rows, err := p.Store.Tokens(ctx, actor.UserID, actor.OrganisationID, page)
	if err != nil {
		return models.Page[TokenView]{}, err
	}
	var ids []models.ID
	for _, row := range rows.Items {
		if row.OrganisationID != nil {
			ids = append(ids, *row.OrganisationID)
		}
	}
	names, err := p.Store.OrganisationsByID(ctx, ids)
	views := models.Page[TokenView]{Next: rows.Next}
	for _, row := range rows.Items {
		view := TokenView{Token: row}
		if row.OrganisationID != nil {
			view.Organisation = names[*row.OrganisationID].Name
		}
		views.Items = append(views.Items, view)
	}
	return views, err
}

// NewToken is an API token to make.
type NewToken struct {
	Name         string
	Scopes       models.Scopes
	Organisation string // its name; empty is all of the actor's
	ExpiresAt    *time.Time
}

// CreateToken makes an API token of actor's and returns its text, once. A token
// makes none that may do more, elsewhere, or for longer than itself.
func (p *Platform) CreateToken(ctx context.Context, actor models.Actor, wanted NewToken) (TokenView, string, error) {
	if err := permitTokens(actor, models.AccountManage); err != nil {
		return TokenView{}, "", err
	}
	if err := p.checkToken(ctx, actor, &wanted); err != nil {
		return TokenView{}, "", err
	}
	text := newToken()
	limit, err := p.tokenLimit(ctx, actor, wanted.Organisation)
	if err != nil {
		return TokenView{}, "", err
	}
	view := TokenView{Organisation: limit.Name, Token: models.Token{
		ID: models.NewID(), UserID: actor.UserID, Name: wanted.Name, Hash: hashToken(text), Scopes: wanted.Scopes, CreatedAt: now(),
	}}
	if limit.ID != (models.ID{}) {
		view.OrganisationID = &limit.ID
	}
	if wanted.ExpiresAt != nil {
		until := wanted.ExpiresAt.UTC().Truncate(time.Microsecond)
		view.ExpiresAt = &until
	}
	what := fact{kind: "token.create", detail: fmt.Sprintf("%s (%s)", view.Name, view.Scopes.Text()), organisation: view.OrganisationID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error { return tx.CreateToken(ctx, &view.Token) })
	return view, text, err
}

// tokenLimit returns the Organisation that a new token is limited to: the one
// that was asked for, or the one that limits its maker. None is the zero one.
func (p *Platform) tokenLimit(ctx context.Context, actor models.Actor, name string) (models.Organisation, error) {
	if name != "" {
		return p.Organisation(ctx, actor, models.OrgRead, name)
	}
	if actor.OrganisationID != nil {
		return p.Store.Organisation(ctx, *actor.OrganisationID)
	}
	return models.Organisation{}, nil
}

func (p *Platform) checkToken(ctx context.Context, actor models.Actor, wanted *NewToken) error {
	if wanted.Name = strings.TrimSpace(narrative.Clean(wanted.Name)); wanted.Name == "" || len(wanted.Name) > maxName {
		return models.Errorf(models.Invalid, "a token needs a name of 1 to %d characters", maxName).WithField("name").
			WithRemedy("say what it is for, such as ci")
	}
	if err := models.CheckScopes(wanted.Scopes); err != nil {
		return err
	}
	if !wanted.Scopes.Within(actor.Scopes) {
		return models.Errorf(models.Forbidden, "your token has only the scopes %s", actor.Scopes.Text()).WithField("scopes").
			WithRemedy("ask for those, or log in with your password")
	}
	if wanted.ExpiresAt != nil && !wanted.ExpiresAt.After(now()) {
		return models.Errorf(models.Invalid, "that time is past").WithField("expires_at").WithRemedy("pass a time to come")
	}
	if actor.TokenID != nil {
		if err := p.checkOutlives(ctx, *actor.TokenID, wanted.ExpiresAt); err != nil {
			return err
		}
	}
	held, err := p.Store.CountTokens(ctx, actor.UserID)
	if err == nil && held >= maxTokens {
		return models.Errorf(models.Conflict, "you have %d tokens, as many as one may", held).WithRemedy("remove one: sky tokens rm")
	}
	return err
}

// checkOutlives refuses a token that lives longer than the one that makes it.
func (p *Platform) checkOutlives(ctx context.Context, maker models.ID, expires *time.Time) error {
	token, err := p.Store.Token(ctx, maker)
	if err != nil || token.ExpiresAt == nil || (expires != nil && !expires.After(*token.ExpiresAt)) {
		return err
	}
	return models.Errorf(models.Forbidden, "a token makes none that outlives it").WithField("expires_at").
		WithRemedy("pass at most %s", token.ExpiresAt.Format(time.RFC3339))
}

// currentToken names the token that is asking, where an id is expected.
const currentToken = "current"

// RevokeToken ends one of actor's tokens, at once; "current" is the one that
// asks, which may always end itself.
func (p *Platform) RevokeToken(ctx context.Context, actor models.Actor, id string) error {
	missing := models.Errorf(models.NotFound, "you have no such token").WithField("token").WithRemedy("`sky tokens list` shows yours")
	if id == currentToken && actor.TokenID != nil {
		return p.revokeToken(ctx, actor, *actor.TokenID)
	}
	if err := permitTokens(actor, models.AccountManage); err != nil {
		return err
	}
	parsed, err := models.ParseID(id)
	if err != nil {
		return missing
	}
	token, err := p.Store.Token(ctx, parsed)
	elsewhere := actor.OrganisationID != nil && (token.OrganisationID == nil || *token.OrganisationID != *actor.OrganisationID)
	if models.IsCode(err, models.NotFound) || (err == nil && (token.UserID != actor.UserID || elsewhere)) {
		return missing
	}
	if err != nil {
		return err
	}
	return p.revokeToken(ctx, actor, parsed)
}

func (p *Platform) revokeToken(ctx context.Context, actor models.Actor, id models.ID) error {
	return p.commit(ctx, actor, fact{kind: "token.revoke", detail: id.String()}, func(tx *store.Store) error {
		return tx.DeleteToken(ctx, actor.UserID, id)
	})
}
