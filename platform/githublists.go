package platform

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
)

const (
	// searchPages is how many pages of GitHub's one search looks through.
	searchPages = 10
	// enoughFound ends a search.
	enoughFound = 50
)

var errGitHubCursor = models.Errorf(models.Invalid, "that is not a cursor of this list").WithField("cursor").
	WithRemedy("pass `next` of the page before")

// asking is who asks GitHub, through their own connection.
func (p *Platform) asking(ctx context.Context, actor models.Actor) (github.Host, *github.Client, error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return github.Host{}, nil, err
	}
	host, _, err := p.gitHub(ctx)
	if err != nil {
		return host, nil, err
	}
	token, err := p.userToken(ctx, host, actor.UserID)
	if err != nil {
		return host, nil, err
	}
	client, err := host.As(token)
	return host, client, err
}

// heard notes when GitHub takes actor's token no more, and passes err on.
func (p *Platform) heard(ctx context.Context, actor models.Actor, err error) error {
	if models.IsCode(err, models.Unauthorized) {
		p.distrust(ctx, actor.UserID)
	}
	return err
}

// GitHubRepositories lists the repositories that actor reaches at GitHub, those
// whose names hold search. One call looks through a few pages of GitHub's, so that
// it may return few while there are more.
func (p *Platform) GitHubRepositories(ctx context.Context, actor models.Actor, search, cursor string) (models.Page[github.Repository], error) {
	host, client, err := p.asking(ctx, actor)
	if err != nil {
		return models.Page[github.Repository]{}, err
	}
	at, err := parsePlace(cursor)
	if err != nil {
		return models.Page[github.Repository]{}, err
	}
	list := lister{client: client}
	if host.Number != 0 {
		if list.installations, err = client.Installations(ctx); err != nil {
			return models.Page[github.Repository]{}, p.heard(ctx, actor, err)
		}
	}
	found := models.Page[github.Repository]{}
	for range searchPages {
		rows, next, err := list.page(ctx, host.Number != 0, at)
		if err != nil {
			return found, p.heard(ctx, actor, err)
		}
		found.Items = append(found.Items, slices.DeleteFunc(rows, func(row github.Repository) bool {
			return !strings.Contains(strings.ToLower(row.Name), strings.ToLower(search))
		})...)
		at = next
		if at.done() || len(found.Items) >= enoughFound {
			break
		}
	}
	found.Next = at.cursor()
	return found, nil
}

// lister lists repositories page by page, those of a GitHub App installation after
// installation.
type lister struct {
	client        *github.Client
	installations []int64
}

// listPlace is where a list goes on; page 0 is nowhere.
type listPlace struct{ installation, page int }

func (l listPlace) done() bool { return l.page == 0 }

func (l listPlace) cursor() string {
	if l.done() {
		return ""
	}
	return fmt.Sprintf("%d.%d", l.installation, l.page)
}

func parsePlace(cursor string) (listPlace, error) {
	at := listPlace{page: 1}
	if cursor == "" {
		return at, nil
	}
	if _, err := fmt.Sscanf(cursor, "%d.%d", &at.installation, &at.page); err != nil || at.cursor() != cursor || at.installation < 0 || at.page < 1 {
		return at, errGitHubCursor
	}
	return at, nil
}

func (l lister) page(ctx context.Context, app bool, at listPlace) ([]github.Repository, listPlace, error) {
	if !app {
		rows, next, err := l.client.Repositories(ctx, at.page)
		return rows, listPlace{page: next}, err
	}
	if at.installation >= len(l.installations) {
		return nil, listPlace{}, nil
	}
	rows, next, err := l.client.Installed(ctx, l.installations[at.installation], at.page)
	if next == 0 && at.installation+1 < len(l.installations) {
		return rows, listPlace{at.installation + 1, 1}, err
	}
	return rows, listPlace{at.installation, next}, err
}

// GitHubBranches lists a repository's branches; with a prefix, those that begin
// with it, all at once.
func (p *Platform) GitHubBranches(ctx context.Context, actor models.Actor, repository, prefix, cursor string) (models.Page[github.Branch], error) {
	found := models.Page[github.Branch]{}
	if err := models.CheckRepository(repository); err != nil {
		return found, err
	}
	if prefix != "" && models.CheckBranch(prefix) != nil {
		return found, models.Errorf(models.Invalid, "%.100q begins no branch", prefix).WithField("prefix")
	}
	_, client, err := p.asking(ctx, actor)
	if err != nil {
		return found, err
	}
	at, err := parsePlace(cursor)
	if err != nil {
		return found, err
	}
	next := 0
	if prefix != "" {
		found.Items, err = client.BranchesFrom(ctx, repository, prefix)
	} else {
		found.Items, next, err = client.Branches(ctx, repository, at.page)
	}
	found.Next = listPlace{page: next}.cursor()
	return found, p.heard(ctx, actor, err)
}
