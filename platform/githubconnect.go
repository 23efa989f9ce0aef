package platform

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	// CallbackPath is where GitHub sends browsers back to.
	CallbackPath = "/api/paas/github/callback"
	// authorizationLife is how long somebody may take at GitHub.
	authorizationLife = 15 * time.Minute
	// maxCodeAttempts is how often a code may be typed wrong.
	maxCodeAttempts = 5
	codeLength      = 8
	// renewBefore is how long before its end a token is renewed.
	renewBefore = 5 * time.Minute
)

// Authorization is a connection with GitHub that is being made.
type Authorization struct {
	ID models.ID
	// URL is where the browser goes. NeedsCode says that it comes back with a code
	// to type where the connection was begun.
	URL       string
	NeedsCode bool
	ExpiresAt time.Time
}

func verifierPlace(row models.GitHubAuthorization) place {
	return ofUser(row.UserID, "github verifier "+row.ID.String())
}
func grantedPlace(row models.GitHubAuthorization) place {
	return ofUser(row.UserID, "github granted "+row.ID.String())
}
func tokenPlace(user models.ID) place   { return ofUser(user, "github token") }
func refreshPlace(user models.ID) place { return ofUser(user, "github refresh") }

// AuthorizeGitHub begins to connect actor with their account at GitHub. Of a
// browser's session only that session can finish it. From a terminal it is finished
// by a code, so that nobody is talked into connecting their account with another's.
// With public, no private repository is reached.
func (p *Platform) AuthorizeGitHub(ctx context.Context, actor models.Actor, public bool) (Authorization, error) {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return Authorization{}, err
	}
	host, row, err := p.gitHub(ctx)
	if err != nil {
		return Authorization{}, err
	}
	state, verifier := newSecret(), github.NewVerifier()
	begun := models.GitHubAuthorization{
		ID: models.NewID(), UserID: actor.UserID, SessionID: actor.SessionID, StateHash: hashToken(state),
		ExpiresAt: now().Add(authorizationLife), CreatedAt: now(),
	}
	if begun.Verifier, err = p.Vault.seal(verifierPlace(begun), []byte(verifier)); err != nil {
		return Authorization{}, err
	}
	if err := p.Store.CreateGitHubAuthorization(ctx, &begun); err != nil {
		return Authorization{}, err
	}
	return Authorization{
		ID: begun.ID, URL: host.AuthorizeURL(p.callbackURL(), state, verifier, scopesFor(row, public)),
		NeedsCode: begun.SessionID == nil, ExpiresAt: begun.ExpiresAt,
	}, nil
}

func (p *Platform) callbackURL() string { return p.Settings.PublicURL + CallbackPath }

// scopesFor are the least that Sky needs: to read the code, to keep the webhook,
// and to write statuses and deployments. A GitHub App's own permissions decide
// instead.
func scopesFor(host models.GitHubHost, public bool) []string {
	switch {
	case host.IsApp():
		return nil
	case public:
		return []string{"public_repo", "admin:repo_hook", "repo:status", "repo_deployment"}
	default:
		return []string{"repo"}
	}
}

// Arrival is what a browser brings back from GitHub.
type Arrival struct {
	State string
	Code  string
	Error string // why GitHub, or its user, refused
}

// Connected is what became of an Arrival.
type Connected struct {
	Login string // the account at GitHub
	User  string // who it belongs to here
	// Code is to be typed in the terminal; empty where the connection is made.
	Code string
}

var errAuthorization = models.Errorf(models.Unauthorized, "this connection was not begun here, or it took too long").
	WithRemedy("begin again: sky github connect")

// ArriveFromGitHub takes what a browser brings back. actor is whose session it
// has, or nobody.
func (p *Platform) ArriveFromGitHub(ctx context.Context, actor models.Actor, came Arrival) (Connected, error) {
	begun, err := p.Store.GitHubAuthorizationByState(ctx, hashToken(came.State))
	if models.IsCode(err, models.NotFound) || (err == nil && !fits(begun, actor)) {
		return Connected{}, errAuthorization
	}
	if err != nil {
		return Connected{}, err
	}
	if came.Error != "" || came.Code == "" {
		return Connected{}, models.Errorf(models.Forbidden, "GitHub did not let Sky in").WithRemedy("begin again, and let it: sky github connect")
	}
	grant, account, err := p.exchange(ctx, begun, came.Code)
	if err != nil {
		return Connected{}, err
	}
	user, err := p.Store.User(ctx, begun.UserID)
	if err != nil {
		return Connected{}, err
	}
	done := Connected{Login: account.Login, User: user.Name}
	if begun.SessionID != nil {
		return done, p.connect(ctx, actor, begun, granted{grant, account})
	}
	done.Code, err = p.holdGrant(ctx, begun, granted{grant, account})
	return done, err
}

var errUnknownAuthorization = models.Errorf(models.NotFound, "you began no such connection, or it took too long").WithField("authorization").
	WithRemedy("begin again: sky github connect")

// fits reports whether a browser may finish an authorization.
func fits(begun models.GitHubAuthorization, actor models.Actor) bool {
	if !begun.ExpiresAt.After(now()) || begun.Granted != nil {
		return false
	}
	return begun.SessionID == nil || (actor.SessionID != nil && *actor.SessionID == *begun.SessionID)
}

// granted is a grant, and whose.
type granted struct {
	Grant   github.Grant   `json:"grant"`
	Account github.Account `json:"account"`
}

func (p *Platform) exchange(ctx context.Context, begun models.GitHubAuthorization, code string) (github.Grant, github.Account, error) {
	host, _, err := p.gitHub(ctx)
	if err != nil {
		return github.Grant{}, github.Account{}, err
	}
	verifier, err := p.Vault.open(verifierPlace(begun), begun.Verifier)
	if err != nil {
		return github.Grant{}, github.Account{}, err
	}
	grant, err := host.Exchange(ctx, p.callbackURL(), code, string(verifier))
	if err != nil {
		return github.Grant{}, github.Account{}, err
	}
	client, err := host.As(grant.Token)
	if err != nil {
		return grant, github.Account{}, err
	}
	account, err := client.Account(ctx)
	return grant, account, err
}

// holdGrant keeps a grant until its code is typed, and returns the code.
func (p *Platform) holdGrant(ctx context.Context, begun models.GitHubAuthorization, what granted) (string, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("encode grant: %w", err)
	}
	sealed, err := p.Vault.seal(grantedPlace(begun), text)
	if err != nil {
		return "", err
	}
	code := rand.Text()[:codeLength]
	_, err = p.Store.UpdateGitHubAuthorization(ctx, begun.ID, func(row *models.GitHubAuthorization) error {
		if row.Granted != nil {
			return errAuthorization
		}
		row.Granted, row.CodeHash = sealed, hashToken(code)
		return nil
	})
	return code[:codeLength/2] + "-" + code[codeLength/2:], err
}

// ConfirmGitHub finishes a connection that was begun in a terminal.
func (p *Platform) ConfirmGitHub(ctx context.Context, actor models.Actor, id, code string) (models.GitHubConnection, error) {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return models.GitHubConnection{}, err
	}
	parsed, err := models.ParseID(id)
	if err != nil {
		return models.GitHubConnection{}, errUnknownAuthorization
	}
	begun, err := p.Store.GitHubAuthorization(ctx, parsed)
	if models.IsCode(err, models.NotFound) || (err == nil && (begun.UserID != actor.UserID || !begun.ExpiresAt.After(now()))) {
		return models.GitHubConnection{}, errUnknownAuthorization
	}
	if err != nil {
		return models.GitHubConnection{}, err
	}
	if begun.Granted == nil {
		return models.GitHubConnection{}, models.Errorf(models.Conflict, "nobody has come back from GitHub yet").WithField("code").
			WithRemedy("open the address in a browser, let Sky in, and type the code that you get")
	}
	if err := p.tryCode(ctx, begun, code); err != nil {
		return models.GitHubConnection{}, err
	}
	what, err := p.grantOf(begun)
	if err != nil {
		return models.GitHubConnection{}, err
	}
	if err := p.connect(ctx, actor, begun, what); err != nil {
		return models.GitHubConnection{}, err
	}
	return p.Store.GitHubConnection(ctx, actor.UserID)
}

func (p *Platform) grantOf(begun models.GitHubAuthorization) (granted, error) {
	what := granted{}
	text, err := p.Vault.open(grantedPlace(begun), begun.Granted)
	if err != nil {
		return what, err
	}
	if err := json.Unmarshal(text, &what); err != nil {
		return what, fmt.Errorf("read the grant: %w", err)
	}
	return what, nil
}

// tryCode compares the code, a few times only.
func (p *Platform) tryCode(ctx context.Context, begun models.GitHubAuthorization, code string) error {
	typed := hashToken(strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code)))
	begun, err := p.Store.UpdateGitHubAuthorization(ctx, begun.ID, func(row *models.GitHubAuthorization) error {
		row.Attempts++
		return nil
	})
	if err != nil {
		return err
	}
	if begun.Attempts > maxCodeAttempts {
		return errUnknownAuthorization
	}
	if subtle.ConstantTimeCompare(typed, begun.CodeHash) != 1 {
		return models.Errorf(models.Invalid, "that is not the code").WithField("code").WithRemedy("type it as the browser shows it")
	}
	return nil
}

// connect keeps a grant as actor's connection; the authorization is used up.
func (p *Platform) connect(ctx context.Context, actor models.Actor, begun models.GitHubAuthorization, what granted) error {
	connection := models.GitHubConnection{
		ID: models.NewID(), UserID: begun.UserID, Account: what.Account.ID, Login: what.Account.Login, CreatedAt: now(), UpdatedAt: now(),
	}
	if err := p.sealGrant(&connection, what.Grant); err != nil {
		return err
	}
	err := p.commit(ctx, actor, fact{kind: "github.connect", detail: connection.Login}, func(tx *store.Store) error {
		if err := tx.DeleteGitHubAuthorization(ctx, begun.ID); err != nil {
			return errAuthorization
		}
		return tx.PutGitHubConnection(ctx, &connection)
	})
	if err == nil {
		p.catchUpSoon(ctx)
	}
	return err
}

// GitHubConnection returns actor's, with the host that it is with.
func (p *Platform) GitHubConnection(ctx context.Context, actor models.Actor) (models.GitHubConnection, models.GitHubHost, error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return models.GitHubConnection{}, models.GitHubHost{}, err
	}
	host, err := p.hostRow(ctx)
	if err != nil {
		return models.GitHubConnection{}, host, err
	}
	connection, err := p.connectionOf(ctx, actor.UserID)
	return connection, host, err
}

func (p *Platform) connectionOf(ctx context.Context, user models.ID) (models.GitHubConnection, error) {
	connection, err := p.Store.GitHubConnection(ctx, user)
	if models.IsCode(err, models.NotFound) {
		err = models.Errorf(models.NotFound, "you are not connected with GitHub").WithRemedy("connect: sky github connect")
	}
	return connection, err
}

// DisconnectGitHub forgets actor's connection and has GitHub revoke it. Links that
// use it stop working until somebody links again.
func (p *Platform) DisconnectGitHub(ctx context.Context, actor models.Actor) error {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return err
	}
	connection, err := p.connectionOf(ctx, actor.UserID)
	if err != nil {
		return err
	}
	host, _, err := p.gitHub(ctx)
	if err != nil {
		return err
	}
	token, err := p.userToken(ctx, host, actor.UserID) // GitHub revokes by a token that it takes
	if err == nil {
		err = host.Revoke(ctx, token)
	}
	if err != nil && !models.IsCode(err, models.Unauthorized) && !models.IsCode(err, models.Invalid) {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "github.disconnect", detail: connection.Login}, func(tx *store.Store) error {
		return tx.DeleteGitHubConnection(ctx, actor.UserID)
	})
}
