package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// installation is a GitHub App on an account.
type installation struct {
	ID               int64
	app              *app
	account          *account
	all              bool
	repos            []*repository
	suspended        *time.Time
	created, updated time.Time
}

// has reports whether the installation reaches a repository.
func (i *installation) has(r *repository) bool {
	return i.account == r.owner && (i.all || slices.Contains(i.repos, r))
}

// installed is the installation of an app that reaches a repository, or nil.
func (h *Host) installed(a *app, r *repository) *installation {
	for _, i := range h.installs {
		if i.app == a && i.has(r) {
			return i
		}
	}
	return nil
}

// Install installs an app on an account, for the named repositories or, without
// any, for all, and returns the installation's id.
func (h *Host) Install(appID int64, login string, repos ...string) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	made := &installation{ID: h.id(), account: h.addAccount(login), all: len(repos) == 0, created: h.now(), updated: h.now()}
	for _, a := range h.apps {
		if a.ID == appID {
			made.app = a
		}
	}
	if made.app == nil {
		return 0, fmt.Errorf("the stand-in has no app %d", appID)
	}
	if err := h.choose(made, repos); err != nil {
		return 0, err
	}
	h.installs = append(h.installs, made)
	h.emitApp(made, "installation", "created", object{"repositories": h.brief(made.reached(h)), "requester": nil})
	h.broadcast()
	return made.ID, nil
}

func (h *Host) choose(i *installation, repos []string) error {
	for _, full := range repos {
		r, err := h.named(full)
		if err != nil {
			return err
		}
		i.repos = append(i.repos, r)
	}
	return nil
}

// AddInstallationRepositories and its like change what an installation reaches.
func (h *Host) AddInstallationRepositories(id int64, repos ...string) error {
	return h.changeInstallation(id, func(i *installation) error {
		before := len(i.repos)
		if err := h.choose(i, repos); err != nil {
			return err
		}
		h.emitApp(i, "installation_repositories", "added", object{
			"repository_selection": i.selection(), "repositories_added": h.brief(i.repos[before:]), "repositories_removed": []object{}, "requester": nil,
		})
		return nil
	})
}

// RemoveInstallationRepositories takes repositories away from an installation.
func (h *Host) RemoveInstallationRepositories(id int64, repos ...string) error {
	return h.changeInstallation(id, func(i *installation) error {
		var removed []*repository
		i.repos = slices.DeleteFunc(i.repos, func(r *repository) bool {
			goes := slices.ContainsFunc(repos, func(full string) bool { return strings.EqualFold(full, r.full()) })
			if goes {
				removed = append(removed, r)
			}
			return goes
		})
		h.emitApp(i, "installation_repositories", "removed", object{
			"repository_selection": i.selection(), "repositories_added": []object{}, "repositories_removed": h.brief(removed), "requester": nil,
		})
		return nil
	})
}

// SuspendInstallation makes an installation's tokens worthless until
// UnsuspendInstallation.
func (h *Host) SuspendInstallation(id int64) error {
	return h.changeInstallation(id, func(i *installation) error {
		at := h.now()
		i.suspended = &at
		h.emitApp(i, "installation", "suspend", object{"repositories": h.brief(i.reached(h))})
		return nil
	})
}

// UnsuspendInstallation ends a suspension.
func (h *Host) UnsuspendInstallation(id int64) error {
	return h.changeInstallation(id, func(i *installation) error {
		i.suspended = nil
		h.emitApp(i, "installation", "unsuspend", object{"repositories": h.brief(i.reached(h))})
		return nil
	})
}

// DeleteInstallation uninstalls an app from an account.
func (h *Host) DeleteInstallation(id int64) error {
	return h.changeInstallation(id, func(i *installation) error {
		h.installs = slices.DeleteFunc(h.installs, func(other *installation) bool { return other == i })
		for _, t := range h.tokens {
			if t.installation == i {
				h.revoke(t)
			}
		}
		h.emitApp(i, "installation", "deleted", object{"repositories": h.brief(i.reached(h))})
		return nil
	})
}

func (h *Host) changeInstallation(id int64, change func(*installation) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.installs {
		if i.ID == id {
			i.updated = h.now()
			defer h.broadcast()
			return change(i)
		}
	}
	return fmt.Errorf("the stand-in has no installation %d", id)
}

func (i *installation) selection() string {
	if i.all {
		return "all"
	}
	return "selected"
}

// reached lists the repositories of an installation. mu is held.
func (i *installation) reached(h *Host) []*repository {
	var found []*repository
	for _, r := range h.repos {
		if i.has(r) {
			found = append(found, r)
		}
	}
	return found
}

func (h *Host) brief(repos []*repository) []object {
	shapes := []object{}
	for _, r := range repos {
		shapes = append(shapes, object{"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.name, "full_name": r.full(), "private": r.private})
	}
	return shapes
}

func (h *Host) installationShape(i *installation) object {
	shape := object{
		"id": i.ID, "account": h.userShape(i.account), "app_id": i.app.ID, "app_slug": i.app.Slug, "client_id": i.app.ClientID,
		"target_id": i.account.ID, "target_type": i.account.kind(), "repository_selection": i.selection(), "single_file_name": nil,
		"access_tokens_url": fmt.Sprintf("%s/app/installations/%d/access_tokens", h.api(), i.ID),
		"repositories_url":  h.api() + "/installation/repositories", "html_url": fmt.Sprintf("%s/settings/installations/%d", h.URL, i.ID),
		"permissions": i.app.permissions, "events": i.app.events, "created_at": i.created, "updated_at": i.updated,
		"suspended_at": i.suspended, "suspended_by": nil, "has_multiple_single_files": false, "single_file_paths": []string{},
	}
	if i.suspended != nil {
		shape["suspended_by"] = h.userShape(i.account)
	}
	return shape
}

// getInstallation answers GET /app/installations/{id}.
func (h *Host) getInstallation(c *call) answer {
	if i := h.ofApp(c); i != nil {
		return ok(h.installationShape(i))
	}
	return notFound()
}

// getRepositoryInstallation answers GET /repos/{owner}/{repo}/installation.
func (h *Host) getRepositoryInstallation(c *call) answer {
	if r, _ := h.find(c); r != nil {
		if i := h.installed(c.app, r); i != nil {
			return ok(h.installationShape(i))
		}
	}
	return notFound()
}

func (h *Host) ofApp(c *call) *installation {
	for _, i := range h.installs {
		if i.ID == c.number("id") && i.app == c.app {
			return i
		}
	}
	return nil
}

// createInstallationToken answers POST /app/installations/{id}/access_tokens.
func (h *Host) createInstallationToken(c *call) answer {
	i := h.ofApp(c)
	switch {
	case i == nil:
		return notFound()
	case i.suspended != nil:
		return fail(http.StatusForbidden, "This installation has been suspended")
	}
	var asked struct {
		Repositories  []string `json:"repositories"`
		RepositoryIDs []int64  `json:"repository_ids"`
	}
	if len(c.body) > 0 && json.Unmarshal(c.body, &asked) != nil {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	given := token{installation: i, expires: h.now().Add(time.Hour)}
	for _, r := range i.reached(h) {
		if slices.Contains(asked.Repositories, r.name) || slices.Contains(asked.RepositoryIDs, r.ID) {
			given.repos = append(given.repos, r)
		}
	}
	if len(given.repos) != len(asked.Repositories)+len(asked.RepositoryIDs) {
		return fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	selection := i.selection()
	if given.repos != nil {
		selection = "selected"
	}
	t := h.issue("ghs_", given)
	return created(object{"token": t.value, "expires_at": t.expires, "permissions": i.app.permissions, "repository_selection": selection})
}

// listInstallations answers GET /user/installations.
func (h *Host) listInstallations(c *call) answer {
	if c.token.client == nil || c.token.client.app == nil {
		return fail(http.StatusForbidden, "You must authenticate with an access token authorized to a GitHub App in order to list installations")
	}
	found := []object{}
	for _, i := range h.installs {
		if i.app == c.token.client.app && h.reaches(c.token.user, i) {
			found = append(found, h.installationShape(i))
		}
	}
	return c.counted("installations", found)
}

// reaches reports whether a user may see an installation.
func (h *Host) reaches(a *account, i *installation) bool {
	return i.account.owns(a.Login) || slices.ContainsFunc(i.reached(h), func(r *repository) bool { return r.role(a) > roleNone })
}

// listUserInstallationRepositories answers GET /user/installations/{id}/repositories.
func (h *Host) listUserInstallationRepositories(c *call) answer {
	for _, i := range h.installs {
		ours := c.token.client != nil && i.app == c.token.client.app
		if i.ID == c.number("id") && ours && h.reaches(c.token.user, i) {
			seen := slices.DeleteFunc(i.reached(h), func(r *repository) bool { return h.sees(c.token, r) == roleNone })
			return c.counted("repositories", h.shapes(c, seen))
		}
	}
	return notFound()
}

// listInstallationRepositories answers GET /installation/repositories.
func (h *Host) listInstallationRepositories(c *call) answer {
	i := c.token.installation
	if i == nil {
		return fail(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	seen := slices.DeleteFunc(i.reached(h), func(r *repository) bool { return c.token.repos != nil && !slices.Contains(c.token.repos, r) })
	return c.page(h.shapes(c, seen), func(part []object) any {
		return object{"total_count": len(seen), "repository_selection": i.selection(), "repositories": part}
	})
}
