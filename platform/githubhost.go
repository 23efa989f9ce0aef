package platform

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// NewGitHubHost is the GitHub to connect Sky with, and what is registered there.
type NewGitHubHost struct {
	URL           string // empty is https://github.com
	ClientID      string
	ClientSecret  string
	Number        int64  // of a GitHub App; 0 is none
	PrivateKey    string // its key in PEM
	WebhookSecret string // its webhook's
}

const defaultGitHub = "https://github.com"

// hostPlace is where a secret of the host's row belongs.
func hostPlace(host models.GitHubHost, column string) place {
	return place{"platform", "github host " + host.ID.String() + " " + column}
}

// ShowGitHubHost returns what Sky is connected with, for an admin.
func (p *Platform) ShowGitHubHost(ctx context.Context, actor models.Actor) (models.GitHubHost, error) {
	if err := permitPlatform(actor); err != nil {
		return models.GitHubHost{}, err
	}
	return p.hostRow(ctx)
}

func (p *Platform) hostRow(ctx context.Context) (models.GitHubHost, error) {
	host, err := p.Store.GitHubHost(ctx)
	if models.IsCode(err, models.NotFound) {
		err = models.Errorf(models.NotFound, "Sky is not connected with a GitHub").
			WithRemedy("an admin of the platform registers an OAuth app or a GitHub App there, and runs sky admin github set")
	}
	return host, err
}

// SetGitHubHost connects Sky with a GitHub, in place of a former one. That cannot
// be left while Apps are linked with it. A GitHub App's key is tried at once.
func (p *Platform) SetGitHubHost(ctx context.Context, actor models.Actor, wanted NewGitHubHost) (models.GitHubHost, error) {
	if err := permitPlatform(actor); err != nil {
		return models.GitHubHost{}, err
	}
	if err := wanted.clean(); err != nil {
		return models.GitHubHost{}, err
	}
	row := models.GitHubHost{
		ID: models.NewID(), URL: wanted.URL, ClientID: wanted.ClientID, Number: wanted.Number, CreatedAt: now(), UpdatedAt: now(),
	}
	if wanted.Number != 0 {
		var err error
		if row.Slug, err = wanted.host(p).CheckApp(ctx); err != nil {
			return models.GitHubHost{}, err
		}
	}
	if err := p.sealHost(&row, wanted); err != nil {
		return models.GitHubHost{}, err
	}
	err := p.commit(ctx, actor, fact{kind: "github.set", detail: row.URL}, func(tx *store.Store) error {
		if err := leaveHost(ctx, tx, row.URL); err != nil {
			return err
		}
		return tx.PutGitHubHost(ctx, &row)
	})
	return row, err
}

func (n NewGitHubHost) host(p *Platform) github.Host {
	return github.Host{
		URL: n.URL, ClientID: n.ClientID, ClientSecret: n.ClientSecret, Number: n.Number, PrivateKey: []byte(n.PrivateKey), HTTP: p.HTTP,
	}
}

// sealHost seals the secrets of a host into its row.
func (p *Platform) sealHost(row *models.GitHubHost, wanted NewGitHubHost) error {
	for _, secret := range []struct {
		column string
		into   *[]byte
		value  string
	}{
		{"client_secret", &row.ClientSecret, wanted.ClientSecret},
		{"private_key", &row.PrivateKey, wanted.PrivateKey},
		{"webhook_secret", &row.WebhookSecret, wanted.WebhookSecret},
	} {
		if secret.value == "" {
			continue
		}
		sealed, err := p.Vault.seal(hostPlace(*row, secret.column), []byte(secret.value))
		if err != nil {
			return err
		}
		*secret.into = sealed
	}
	return nil
}

// clean checks what is wanted.
func (n *NewGitHubHost) clean() error {
	if n.URL == "" {
		n.URL = defaultGitHub
	}
	n.URL = strings.TrimRight(n.URL, "/")
	address, err := url.Parse(n.URL)
	wrong := err != nil || address.Host == "" || address.Path != "" || address.RawQuery != "" || address.Fragment != "" || address.User != nil
	if wrong || (address.Scheme != "https" && (address.Scheme != "http" || !isLoopback(address.Hostname()))) {
		return models.Errorf(models.Invalid, "%.200q is not the address of a GitHub", n.URL).WithField("url").
			WithRemedy("use https://github.com, or your GitHub Enterprise server's, such as https://github.example.com")
	}
	if n.ClientID == "" || n.ClientSecret == "" {
		return models.Errorf(models.Invalid, "the client's id and secret belong together").WithField("client_secret").
			WithRemedy("copy both from the OAuth app or the GitHub App that you registered")
	}
	if (n.Number != 0) != (n.PrivateKey != "") || (n.Number != 0) != (n.WebhookSecret != "") {
		return models.Errorf(models.Invalid, "a GitHub App needs its id, its private key and the secret of its webhook").WithField("app_id").
			WithRemedy("pass all three, or none for an OAuth app")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// leaveHost forgets what belongs to the former host, where the new one is another.
func leaveHost(ctx context.Context, tx *store.Store, url string) error {
	former, err := tx.GitHubHost(ctx)
	if models.IsCode(err, models.NotFound) || (err == nil && former.URL == url) {
		return nil
	}
	if err != nil {
		return err
	}
	links, err := tx.CountGitHubLinks(ctx)
	if err != nil {
		return err
	}
	if links > 0 {
		return models.Errorf(models.Conflict, "%d apps are linked with %s", links, former.URL).
			WithRemedy("their owners unlink them first: sky github unlink")
	}
	return tx.DeleteGitHubConnections(ctx)
}

// ForgetGitHubHost disconnects Sky from its GitHub, where no App is linked.
func (p *Platform) ForgetGitHubHost(ctx context.Context, actor models.Actor) error {
	if err := permitPlatform(actor); err != nil {
		return err
	}
	host, err := p.hostRow(ctx)
	if err != nil {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "github.forget", detail: host.URL}, func(tx *store.Store) error {
		if err := leaveHost(ctx, tx, ""); err != nil {
			return err
		}
		return tx.DeleteGitHubHost(ctx)
	})
}

// gitHub returns the host that Sky is connected with, with its secrets.
func (p *Platform) gitHub(ctx context.Context) (github.Host, models.GitHubHost, error) {
	row, err := p.hostRow(ctx)
	if err != nil {
		return github.Host{}, row, err
	}
	host := github.Host{URL: row.URL, ClientID: row.ClientID, Number: row.Number, HTTP: p.HTTP}
	secret, err := p.Vault.open(hostPlace(row, "client_secret"), row.ClientSecret)
	if err != nil {
		return host, row, err
	}
	host.ClientSecret = string(secret)
	if row.IsApp() {
		host.PrivateKey, err = p.Vault.open(hostPlace(row, "private_key"), row.PrivateKey)
	}
	return host, row, err
}
