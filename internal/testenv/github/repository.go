package github

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// repository is one of an account's.
type repository struct {
	ID                int64
	owner             *account
	name              string
	private, archived bool
	parent            *repository // of a fork
	branch            string      // the default one
	dir               string
	created, pushed   time.Time
	roles             map[string]int // collaborators, by login in lower case
	hooks             []*hook
	statuses          []*Status
	deployments       []*Deployment
	pulls             []*pull
	comments          []*Comment
	number            int // of the last pull request
	waiting           []move
}

func (r *repository) full() string { return r.owner.Login + "/" + r.name }

// role is a user's on the repository.
func (r *repository) role(a *account) int {
	if a == nil {
		return roleNone
	}
	if r.owner.owns(a.Login) {
		return roleAdmin
	}
	return r.roles[strings.ToLower(a.Login)]
}

// repository finds by full name, whatever its case, also a former one. mu is held.
func (h *Host) repository(full string) *repository {
	for _, r := range h.repos {
		if strings.EqualFold(r.full(), full) {
			return r
		}
	}
	return h.moved[strings.ToLower(full)]
}

// find returns the repository that a path names, and whether by a former name.
func (h *Host) find(c *call) (found *repository, moved bool) {
	if id := c.number("repository"); id != 0 {
		return h.repositoryByID(id), false
	}
	full := c.PathValue("owner") + "/" + c.PathValue("repo")
	found = h.repository(full)
	return found, found != nil && !strings.EqualFold(found.full(), full)
}

func (h *Host) repositoryByID(id int64) *repository {
	for _, r := range h.repos {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (h *Host) repoAPI(r *repository) string { return h.api() + "/repos/" + r.full() }
func (h *Host) repoURL(r *repository) string { return h.URL + "/" + r.full() }

// repoShape is a repository as lists and payloads show it.
func (h *Host) repoShape(r *repository) object {
	shape := object{
		"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.name, "full_name": r.full(), "private": r.private,
		"owner": h.userShape(r.owner), "html_url": h.repoURL(r), "description": nil, "fork": r.parent != nil, "url": h.repoAPI(r),
		"clone_url": h.repoURL(r) + ".git", "git_url": "git" + h.repoURL(r)[strings.Index(h.repoURL(r), "://"):] + ".git",
		"ssh_url": "git@" + strings.TrimPrefix(h.URL[strings.Index(h.URL, "//"):], "//") + ":" + r.full() + ".git", "svn_url": h.repoURL(r),
		"homepage": nil, "language": nil, "forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0,
		"size": 1, "default_branch": r.branch, "open_issues": 0, "open_issues_count": 0, "is_template": false, "topics": []string{},
		"has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false, "has_downloads": true, "has_discussions": false,
		"archived": r.archived, "disabled": false, "visibility": visibility(r), "license": nil, "mirror_url": nil, "allow_forking": true,
		"web_commit_signoff_required": false, "pushed_at": r.pushed, "created_at": r.created, "updated_at": r.pushed,
	}
	for key, path := range repoLinks() {
		shape[key] = h.repoAPI(r) + path
	}
	return shape
}

func visibility(r *repository) string {
	if r.private {
		return "private"
	}
	return "public"
}

// repoLinks are the addresses below a repository's that it names.
func repoLinks() map[string]string {
	return map[string]string{
		"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
		"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}",
		"commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}",
		"contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
		"forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
		"hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
		"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages",
		"merges_url": "/merges", "milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}",
		"pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
		"subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams",
		"trees_url": "/git/trees{/sha}",
	}
}

// repoFor is a repository with what the asker may do with it.
func (h *Host) repoFor(c *call, r *repository) object {
	shape := h.repoShape(r)
	if c.token != nil {
		role := h.sees(c.token, r)
		shape["permissions"] = object{
			"admin": role >= roleAdmin, "maintain": role >= roleAdmin, "push": role >= rolePush,
			"triage": role >= rolePush, "pull": role >= rolePull,
		}
	}
	return shape
}

// getRepository answers GET /repos/{owner}/{repo} and GET /repositories/{id}.
func (h *Host) getRepository(c *call) answer {
	shape := h.repoFor(c, c.repo)
	shape.add(object{"network_count": 0, "subscribers_count": 0, "temp_clone_token": nil})
	if c.repo.parent != nil {
		shape.add(object{"parent": h.repoShape(c.repo.parent), "source": h.repoShape(c.repo.parent)})
	}
	return ok(shape)
}

// listUserRepositories answers GET /user/repos.
func (h *Host) listUserRepositories(c *call) answer {
	if c.token.user == nil {
		return fail(403, "Resource not accessible by integration")
	}
	query := c.URL.Query()
	affiliations := strings.Split(cmp.Or(query.Get("affiliation"), "owner,collaborator,organization_member"), ",")
	var found []*repository
	for _, r := range h.repos {
		role := r.role(c.token.user)
		fits := slices.Contains(affiliations, affiliation(r, c.token.user)) && wanted(query.Get("visibility"), r)
		if role > roleNone && fits && h.sees(c.token, r) > roleNone {
			found = append(found, r)
		}
	}
	order(found, cmp.Or(query.Get("sort"), "full_name"), query.Get("direction"))
	return c.list(h.shapes(c, found))
}

func affiliation(r *repository, a *account) string {
	switch {
	case r.owner == a:
		return "owner"
	case r.owner.owns(a.Login):
		return "organization_member"
	}
	return "collaborator"
}

func wanted(asked string, r *repository) bool {
	return asked == "" || asked == "all" || asked == visibility(r)
}

// order sorts as the API's parameters ask; names ascend unless told, times descend.
func order(repos []*repository, by, direction string) {
	slices.SortStableFunc(repos, func(a, b *repository) int {
		switch by {
		case "created":
			return b.created.Compare(a.created)
		case "updated", "pushed":
			return b.pushed.Compare(a.pushed)
		}
		return cmp.Compare(strings.ToLower(a.full()), strings.ToLower(b.full()))
	})
	if by == "full_name" && direction == "desc" || by != "full_name" && direction == "asc" {
		slices.Reverse(repos)
	}
}

func (h *Host) shapes(c *call, repos []*repository) []object {
	shapes := []object{}
	for _, r := range repos {
		shapes = append(shapes, h.repoFor(c, r))
	}
	return shapes
}

// searchRepositories answers GET /search/repositories: words of the name, and the
// qualifiers user:, org: and repo:. Others are not heeded.
func (h *Host) searchRepositories(c *call) answer {
	terms := strings.Fields(c.URL.Query().Get("q"))
	if len(terms) == 0 {
		return invalid("Search", "q", "missing", "")
	}
	var owners, words []string
	for _, term := range terms {
		name, value, qualified := strings.Cut(term, ":")
		switch {
		case !qualified:
			words = append(words, strings.ToLower(term))
		case name == "user" || name == "org":
			owners = append(owners, strings.ToLower(value))
		case name == "repo":
			words = append(words, strings.ToLower(value))
		}
	}
	var found []object
	for _, r := range h.repos {
		if h.sees(c.token, r) > roleNone && matches(r, owners, words) {
			shape := h.repoFor(c, r)
			shape["score"] = 1.0
			found = append(found, shape)
		}
	}
	return c.page(found, func(part []object) any {
		return object{"total_count": len(found), "incomplete_results": false, "items": part}
	})
}

func matches(r *repository, owners, words []string) bool {
	if len(owners) > 0 && !slices.Contains(owners, strings.ToLower(r.owner.Login)) {
		return false
	}
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(strings.ToLower(r.full()), w) })
}

// named is the act's repository, or an error that says it is unknown. mu is held.
func (h *Host) named(full string) (*repository, error) {
	if r := h.repository(full); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("the stand-in has no repository %s", full)
}
