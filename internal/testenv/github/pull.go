package github

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pull is a pull request.
type Pull struct {
	Number           int
	Title            string
	State            string // open or closed
	Merged           bool
	Base, Head       string // branches
	HeadRepo         string // full name; empty when it is gone
	HeadSHA, BaseSHA string
}

type pull struct {
	id                      int64
	number                  int
	title                   string
	open, merged            bool
	base, branch            string
	head                    *repository
	baseSHA, headSHA, merge string
	author                  *account
	made, updated, closed   time.Time
}

func (r *repository) pull(number int) *pull {
	for _, p := range r.pulls {
		if p.number == number {
			return p
		}
	}
	return nil
}

// Pulls returns a repository's pull requests, oldest first.
func (h *Host) Pulls(full string) []Pull {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Pull
	if r := h.repository(full); r != nil {
		for _, p := range r.pulls {
			one := Pull{
				Number: p.number, Title: p.title, State: p.state(), Merged: p.merged, Base: p.base, Head: p.branch,
				HeadSHA: p.headSHA, BaseSHA: p.baseSHA,
			}
			if h.repositoryByID(p.head.ID) != nil {
				one.HeadRepo = p.head.full()
			}
			found = append(found, one)
		}
	}
	return found
}

func (p *pull) state() string {
	if p.open {
		return "open"
	}
	return "closed"
}

// listPulls answers GET /repos/{owner}/{repo}/pulls, newest first.
func (h *Host) listPulls(c *call) answer {
	query := c.URL.Query()
	state := query.Get("state")
	if state == "" {
		state = "open"
	}
	found := []object{}
	for _, p := range slices.Backward(c.repo.pulls) {
		label := p.head.owner.Login + ":" + p.branch
		fits := (state == "all" || state == p.state()) &&
			(query.Get("base") == "" || query.Get("base") == p.base) && (query.Get("head") == "" || query.Get("head") == label)
		if fits {
			found = append(found, h.pullShape(c.repo, p))
		}
	}
	if query.Get("direction") == "asc" {
		slices.Reverse(found)
	}
	return c.list(found)
}

// getPull answers GET /repos/{owner}/{repo}/pulls/{number}.
func (h *Host) getPull(c *call) answer {
	p := c.repo.pull(int(c.number("number")))
	if p == nil {
		return notFound()
	}
	shape, err := h.fullPull(c.repo, p)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	return ok(shape)
}

// fullPull is a pull request with what only its own page and payloads tell.
func (h *Host) fullPull(r *repository, p *pull) (object, error) {
	commits, err := h.git.run(r.dir, nil, "rev-list", "--count", p.baseSHA+".."+p.headSHA)
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(commits)
	if err != nil {
		return nil, err
	}
	files, added, deleted, err := h.git.difference(r.dir, p.baseSHA+"..."+p.headSHA)
	if err != nil {
		return nil, err
	}
	shape := h.pullShape(r, p)
	// Whether it can be merged GitHub finds out later: at first it says null.
	shape.add(object{
		"merged": p.merged, "mergeable": nil, "rebaseable": nil, "mergeable_state": "unknown", "merged_by": nil,
		"comments": r.commentsOn(p.number), "review_comments": 0, "maintainer_can_modify": false, "commits": count,
		"additions": added, "deletions": deleted, "changed_files": files,
	})
	if p.merged {
		shape["merged_by"] = h.userShape(r.owner)
	}
	return shape, nil
}

func (h *Host) pullShape(r *repository, p *pull) object {
	self, page := fmt.Sprintf("%s/pulls/%d", h.repoAPI(r), p.number), fmt.Sprintf("%s/pull/%d", h.repoURL(r), p.number)
	issue := fmt.Sprintf("%s/issues/%d", h.repoAPI(r), p.number)
	statuses := h.repoAPI(r) + "/statuses/" + p.headSHA
	shape := object{
		"url": self, "id": p.id, "node_id": nodeID("PullRequest", p.id), "html_url": page, "diff_url": page + ".diff",
		"patch_url": page + ".patch", "issue_url": issue, "number": p.number, "state": p.state(), "locked": false, "title": p.title,
		"user": h.userShape(p.author), "body": nil, "created_at": p.made, "updated_at": p.updated, "closed_at": nil, "merged_at": nil,
		"merge_commit_sha": orNull(p.merge), "assignee": nil, "assignees": []object{}, "requested_reviewers": []object{},
		"requested_teams": []object{}, "labels": []object{}, "milestone": nil, "draft": false, "commits_url": self + "/commits",
		"review_comments_url": self + "/comments", "review_comment_url": h.repoAPI(r) + "/pulls/comments{/number}",
		"comments_url": issue + "/comments", "statuses_url": statuses, "author_association": association(r, p.author),
		"auto_merge": nil, "active_lock_reason": nil, "head": h.side(p.head, p.branch, p.headSHA), "base": h.side(r, p.base, p.baseSHA),
		"_links": links(map[string]string{
			"self": self, "html": page, "issue": issue, "comments": issue + "/comments", "review_comments": self + "/comments",
			"review_comment": h.repoAPI(r) + "/pulls/comments{/number}", "commits": self + "/commits", "statuses": statuses,
		}),
	}
	if !p.open {
		shape["closed_at"] = p.closed
	}
	if p.merged {
		shape["merged_at"] = p.closed
	}
	return shape
}

func links(to map[string]string) object {
	shape := object{}
	for name, address := range to {
		shape[name] = object{"href": address}
	}
	return shape
}

func association(r *repository, a *account) string {
	switch {
	case r.owner == a:
		return "OWNER"
	case r.owner.owns(a.Login):
		return "MEMBER"
	case r.roles[strings.ToLower(a.Login)] > roleNone:
		return "COLLABORATOR"
	}
	return "NONE"
}

// side is one end of a pull request; a deleted fork is null.
func (h *Host) side(r *repository, branch, sha string) object {
	shape := object{"label": r.owner.Login + ":" + branch, "ref": branch, "sha": sha, "user": h.userShape(r.owner), "repo": nil}
	if h.repositoryByID(r.ID) != nil {
		shape["repo"] = h.repoShape(r)
	}
	return shape
}
