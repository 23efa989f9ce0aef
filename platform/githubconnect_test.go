package platform

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// arrival goes to GitHub and comes back, without what Sky does then.
func (l *linked) arrival(address string) Arrival {
	l.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(address) //nolint:noctx // a test's
	require.NoError(l.t, err)
	require.NoError(l.t, answer.Body.Close())
	back, err := url.Parse(answer.Header.Get("Location"))
	require.NoError(l.t, err)
	require.Equal(l.t, l.door.URL+CallbackPath, back.Scheme+"://"+back.Host+back.Path, "the callback is Sky's own")
	query := back.Query()
	return Arrival{State: query.Get("state"), Code: query.Get("code"), Error: query.Get("error")}
}

// withSession is somebody with a browser session.
func withSession(actor models.Actor) models.Actor {
	session := models.NewID()
	actor.SessionID = &session
	return actor
}

func (l *linked) begin(actor models.Actor) Authorization {
	l.t.Helper()
	begun, err := l.AuthorizeGitHub(l.t.Context(), actor, false)
	require.NoError(l.t, err)
	return begun
}

func (l *linked) notConnected() {
	l.t.Helper()
	_, _, err := l.GitHubConnection(l.t.Context(), l.actor)
	require.True(l.t, models.IsCode(err, models.NotFound), "%v", err)
}

// TestStateTampering: only the session that began finishes, once, in time.
func TestStateTampering(t *testing.T) {
	l := newLinked(t)
	ctx, mine := t.Context(), withSession(l.actor)
	begun := l.begin(mine)
	require.False(t, begun.NeedsCode)
	came := l.arrival(begun.URL)
	require.NotContains(t, begun.URL, "redirect_uri=http%3A%2F%2Fevil")
	for name, test := range map[string]struct {
		actor models.Actor
		came  Arrival
	}{
		"nobody":           {models.Actor{}, came},
		"another session":  {withSession(l.actor), came},
		"another user":     {withSession(models.Actor{UserID: models.NewID(), Name: "mallory"}), came},
		"no session":       {l.actor, came},
		"no state":         {mine, Arrival{Code: came.Code}},
		"another state":    {mine, Arrival{State: newSecret(), Code: came.Code}},
		"changed state":    {mine, Arrival{State: came.State + "x", Code: came.Code}},
		"the state's hash": {mine, Arrival{State: string(hashToken(came.State)), Code: came.Code}},
	} {
		_, err := l.ArriveFromGitHub(ctx, test.actor, test.came)
		require.True(t, models.IsCode(err, models.Unauthorized), "%s: %v", name, err)
		l.notConnected()
	}
	_, err := l.ArriveFromGitHub(ctx, mine, Arrival{State: came.State, Error: "access_denied"})
	require.True(t, models.IsCode(err, models.Forbidden), "%v", err)
	_, err = l.ArriveFromGitHub(ctx, mine, Arrival{State: came.State, Code: "guess"})
	require.True(t, models.IsCode(err, models.Unauthorized), "%v", err)
	l.notConnected()
	done, err := l.ArriveFromGitHub(ctx, mine, came)
	require.NoError(t, err)
	require.Equal(t, "acme", done.Login)
	require.Empty(t, done.Code)
	_, err = l.ArriveFromGitHub(ctx, mine, came)
	require.True(t, models.IsCode(err, models.Unauthorized), "it counts once: %v", err)
}

// TestCodesAreBound: one authorization's code is no good for another's verifier,
// and neither is an old one.
func TestCodesAreBound(t *testing.T) {
	l := newLinked(t)
	ctx, mine := t.Context(), withSession(l.actor)
	one, other := l.arrival(l.begin(mine).URL), l.arrival(l.begin(mine).URL)
	_, err := l.ArriveFromGitHub(ctx, mine, Arrival{State: one.State, Code: other.Code})
	require.True(t, models.IsCode(err, models.Unauthorized), "PKCE: %v", err)
	begun := l.begin(mine)
	asked, err := url.Parse(begun.URL)
	require.NoError(t, err)
	require.Equal(t, "S256", asked.Query().Get("code_challenge_method"))
	late := l.arrival(begun.URL)
	_, err = l.Store.UpdateGitHubAuthorization(ctx, begun.ID, func(row *models.GitHubAuthorization) error {
		row.ExpiresAt = now().Add(-time.Second)
		return nil
	})
	require.NoError(t, err)
	_, err = l.ArriveFromGitHub(ctx, mine, late)
	require.True(t, models.IsCode(err, models.Unauthorized), "%v", err)
	l.notConnected()
}

// TestConfirmationCodes: who began in a terminal types what the browser shows, and
// has few attempts.
func TestConfirmationCodes(t *testing.T) {
	l := newLinked(t)
	ctx := t.Context()
	begun := l.begin(l.actor)
	_, err := l.ConfirmGitHub(ctx, l.actor, begun.ID.String(), "AAAA-AAAA")
	require.True(t, models.IsCode(err, models.Conflict), "nobody was at GitHub: %v", err)
	came := l.arrival(begun.URL)
	done, err := l.ArriveFromGitHub(ctx, models.Actor{}, came)
	require.NoError(t, err)
	_, err = l.ArriveFromGitHub(ctx, models.Actor{}, came)
	require.True(t, models.IsCode(err, models.Unauthorized), "no second code: %v", err)
	mallory := models.Actor{UserID: models.NewID(), Name: "mallory", Scopes: models.AllScopes()}
	_, err = l.ConfirmGitHub(ctx, mallory, begun.ID.String(), done.Code)
	require.True(t, models.IsCode(err, models.NotFound), "%v", err)
	for range maxCodeAttempts {
		_, err = l.ConfirmGitHub(ctx, l.actor, begun.ID.String(), "AAAA-AAAA")
		require.True(t, models.IsCode(err, models.Invalid), "%v", err)
	}
	_, err = l.ConfirmGitHub(ctx, l.actor, begun.ID.String(), done.Code)
	require.True(t, models.IsCode(err, models.NotFound), "too late for the right one: %v", err)
	l.notConnected()

	begun = l.begin(l.actor)
	done, err = l.ArriveFromGitHub(ctx, models.Actor{}, l.arrival(begun.URL))
	require.NoError(t, err)
	_, err = l.ConfirmGitHub(ctx, l.actor, begun.ID.String(), " "+strings.ToLower(strings.ReplaceAll(done.Code, "-", " ")))
	require.NoError(t, err)
	_, err = l.ConfirmGitHub(ctx, l.actor, begun.ID.String(), done.Code)
	require.True(t, models.IsCode(err, models.NotFound), "it counts once: %v", err)
	for _, id := range []string{"", "nonsense", models.NewID().String()} {
		_, err = l.ConfirmGitHub(ctx, l.actor, id, done.Code)
		require.True(t, models.IsCode(err, models.NotFound), "%v", err)
	}
}

func TestWhoIsDenied(t *testing.T) {
	l := newLinked(t)
	l.host.Deny()
	_, err := l.ArriveFromGitHub(t.Context(), models.Actor{}, l.arrival(l.begin(l.actor).URL))
	require.True(t, models.IsCode(err, models.Forbidden), "%v", err)
	l.notConnected()
	limited := l.actor
	limited.OrganisationID = &l.app.OrganisationID
	_, err = l.AuthorizeGitHub(t.Context(), limited, false)
	require.True(t, models.IsCode(err, models.Forbidden), "a token of one organisation: %v", err)
	_, err = l.AuthorizeGitHub(t.Context(), models.Actor{}, false)
	require.True(t, models.IsCode(err, models.Unauthorized), "%v", err)
}

// TestDisconnecting revokes at GitHub.
func TestDisconnecting(t *testing.T) {
	l := newLinked(t)
	l.connect()
	require.Len(t, l.host.Tokens("acme"), 1)
	l.host.Down(http.StatusBadGateway)
	require.Error(t, l.DisconnectGitHub(t.Context(), l.actor), "what is not revoked is not forgotten")
	l.host.Up()
	require.NoError(t, l.DisconnectGitHub(t.Context(), l.actor))
	require.Empty(t, l.host.Tokens("acme"))
	l.notConnected()
	l.connect()
	l.host.RevokeToken(l.host.Tokens("acme")[0])
	require.NoError(t, l.DisconnectGitHub(t.Context(), l.actor), "it was revoked before")
}

// throughApp connects Sky with a GitHub App that is installed at acme's.
func throughApp(t *testing.T, expiring bool) (l *linked, installation int64) {
	t.Helper()
	l = newLinked(t)
	registered, err := l.host.AddApp(github.AppOptions{
		Slug: "sky", Owner: "acme", Callback: l.door.URL + CallbackPath, WebhookURL: l.door.URL + WebhookPath, Secret: "of-the-app", Expiring: expiring,
	})
	require.NoError(t, err)
	_, err = l.SetGitHubHost(t.Context(), l.actor, NewGitHubHost{
		URL: l.host.URL, ClientID: registered.ClientID, ClientSecret: registered.ClientSecret, Number: registered.ID,
		PrivateKey: string(registered.PrivateKey), WebhookSecret: "of-the-app",
	})
	require.NoError(t, err)
	installation, err = l.host.Install(registered.ID, "acme")
	require.NoError(t, err)
	return l, installation
}

// TestGitHubAppDelivers to the apps that are linked with the repository, by one
// webhook, and fetches with its installation's tokens.
func TestGitHubAppDelivers(t *testing.T) {
	l, installation := throughApp(t, false)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	require.Equal(t, installation, l.own().Installation)
	require.Empty(t, l.host.Hooks(shopRepository), "it needs none of its own")
	other, err := l.CreateApp(t.Context(), l.actor, NewApp{Name: "other"})
	require.NoError(t, err)
	require.NoError(t, l.host.AddRepository("acme/other", true))
	_, err = l.host.Push(github.Push{Repo: "acme/other", Branch: "main", Commits: commitOf("other", "a")})
	require.NoError(t, err)
	_, err = l.LinkGitHub(t.Context(), l.actor, other, "acme/other", GitHubLinkChange{})
	require.NoError(t, err)
	require.NoError(t, l.host.AddRepository("acme/unlinked", true))
	_, err = l.host.Push(github.Push{Repo: "acme/unlinked", Branch: "main", Commits: commitOf("unlinked", "private-file")})
	require.NoError(t, err)
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.live(second)
	l.quiet()
	require.Len(t, l.ledger(l.app, "push"), 1)
	require.Empty(t, l.ledger(other, "push"))
	require.Equal(t, first, l.builds()[0])
	stray, err := l.Store.Deliveries(t.Context(), storeFilter(models.OutcomeUnlinked), models.PageRequest{Limit: 50})
	require.NoError(t, err)
	require.NotEmpty(t, stray.Items)
	for _, row := range stray.Items {
		whole, err := l.Store.Delivery(t.Context(), row.ID)
		require.NoError(t, err)
		require.Empty(t, whole.Body, "what nobody linked is nobody's to read")
	}
	in := l.signed("push", "forged", l.pushOf(oid(7)))
	in.Link = ""
	_, err = l.Deliver(t.Context(), in)
	require.True(t, models.IsCode(err, models.Unauthorized), "a link's secret is not the app's: %v", err)
	in.Signature = sign("of-the-app", in.Body)
	fresh, err := l.Deliver(t.Context(), in)
	require.NoError(t, err)
	require.True(t, fresh)
}

// TestInstallationsThatEnd: the links through them say so; what is live goes on.
func TestInstallationsThatEnd(t *testing.T) {
	for name, end := range map[string]func(l *linked, installation int64) error{
		"suspended":   func(l *linked, id int64) error { return l.host.SuspendInstallation(id) },
		"uninstalled": func(l *linked, id int64) error { return l.host.DeleteInstallation(id) },
	} {
		t.Run(name, func(t *testing.T) {
			l, installation := throughApp(t, false)
			first := l.link(GitHubLinkChange{})
			l.quiet()
			require.NoError(t, end(l, installation))
			l.quiet()
			require.Equal(t, models.OutcomeNoted, l.last("installation").Outcome)
			require.NotEmpty(t, l.own().Trouble)
			l.comesRound()
			require.NotEmpty(t, l.own().Trouble)
			require.Equal(t, first, l.liveCommit(l.app.ID))
			second := l.commit("main", "second", map[string]string{"index.html": "two"})
			if name == "suspended" {
				require.NoError(t, l.host.UnsuspendInstallation(installation))
			} else {
				_, err := l.host.Install(l.host.Apps()[0].ID, "acme")
				require.NoError(t, err)
				_, err = l.RepairGitHubLink(t.Context(), l.actor, l.app)
				require.NoError(t, err)
			}
			l.quiet()
			l.comesRound()
			l.live(second)
			l.quiet()
			require.Empty(t, l.own().Trouble)
			require.Equal(t, []string{first, second}, l.builds())
		})
	}
}

// TestTokensThatExpire are renewed, once, however many ask at once.
func TestTokensThatExpire(t *testing.T) {
	l, _ := throughApp(t, true)
	l.connect()
	l.ends(time.Minute)
	host, _, err := l.gitHub(t.Context())
	require.NoError(t, err)
	before := l.renewals()
	var group sync.WaitGroup
	tokens := make([]string, 20)
	for i := range tokens {
		group.Go(func() {
			var err error
			if tokens[i], err = l.userToken(t.Context(), host, l.actor.UserID); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, token := range tokens {
		require.Equal(t, tokens[0], token)
	}
	require.Equal(t, l.host.Tokens("acme"), tokens[:1])
	require.Equal(t, before+1, l.renewals())
	_, err = l.GitHubRepositories(t.Context(), l.actor, "", "")
	require.NoError(t, err)
	l.ends(-time.Hour)
	l.host.Advance(9 * time.Hour)
	require.NoError(t, l.DisconnectGitHub(t.Context(), l.actor))
	require.Empty(t, l.host.Tokens("acme"), "one that has ended is revoked too")
}

// TestAWrongClientSecret is the operator's fault: nobody has to connect again.
func TestAWrongClientSecret(t *testing.T) {
	l, _ := throughApp(t, true)
	l.connect()
	app := l.host.Apps()[0]
	set := func(secret string) {
		t.Helper()
		_, err := l.SetGitHubHost(t.Context(), l.actor, NewGitHubHost{
			URL: l.host.URL, ClientID: app.ClientID, ClientSecret: secret, Number: app.ID, PrivateKey: string(app.PrivateKey), WebhookSecret: "of-the-app",
		})
		require.NoError(t, err)
	}
	set("wrong")
	l.ends(time.Minute)
	_, err := l.GitHubRepositories(t.Context(), l.actor, "", "")
	require.True(t, models.IsCode(err, models.Forbidden), "%v", err)
	set(app.ClientSecret)
	_, err = l.GitHubRepositories(t.Context(), l.actor, "", "")
	require.NoError(t, err)
}

// ends lets the admin's token end after a while.
func (l *linked) ends(after time.Duration) {
	l.t.Helper()
	connection, err := l.Store.GitHubConnection(l.t.Context(), l.actor.UserID)
	require.NoError(l.t, err)
	_, err = l.Store.UpdateGitHubConnection(l.t.Context(), connection.ID, func(row *models.GitHubConnection) error {
		until := now().Add(after)
		row.ExpiresAt = &until
		return nil
	})
	require.NoError(l.t, err)
}

// renewals counts how often tokens were asked for.
func (l *linked) renewals() (count int) {
	for _, request := range l.host.Requests() {
		if request.Path == "/login/oauth/access_token" {
			count++
		}
	}
	return count
}
