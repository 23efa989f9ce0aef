package github

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// Status is a commit's, as somebody wrote it.
type Status struct {
	ID                                          int64
	SHA, State, Context, Description, TargetURL string
	Creator                                     string

	creator *account
	at      time.Time
}

// Statuses returns what was written of a commit, oldest first.
func (h *Host) Statuses(full, sha string) []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Status
	if r := h.repository(full); r != nil {
		for _, s := range r.statuses {
			if s.SHA == sha {
				found = append(found, *s)
			}
		}
	}
	return found
}

// longest is what a description may have.
const longest = 140

// createStatus answers POST /repos/{owner}/{repo}/statuses/{sha}.
func (h *Host) createStatus(c *call) answer {
	var asked struct {
		State       string  `json:"state"`
		TargetURL   *string `json:"target_url"`
		Description *string `json:"description"`
		Context     string  `json:"context"`
	}
	if refused := c.read(&asked); refused != nil {
		return *refused
	}
	made := &Status{ID: h.id(), State: asked.State, Context: asked.Context, creator: c.actor(), at: h.now()}
	made.SHA, made.Creator = h.git.resolve(c.repo.dir, c.PathValue("sha")), made.creator.Login
	if made.Context == "" {
		made.Context = "default"
	}
	if asked.Description != nil {
		made.Description = *asked.Description
	}
	if asked.TargetURL != nil {
		made.TargetURL = *asked.TargetURL
	}
	if made.SHA == "" || made.SHA != c.PathValue("sha") {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.PathValue("sha"))
	}
	if refused := made.check(c.repo); refused != nil {
		return *refused
	}
	commit, err := h.git.commit(c.repo.dir, made.SHA, nil)
	if err != nil {
		return broken(err)
	}
	c.repo.statuses = append(c.repo.statuses, made)
	h.emit(c.repo, "status", c.actor(), object{
		"id": made.ID, "sha": made.SHA, "name": c.repo.full(), "context": made.Context, "state": made.State,
		"description": orNull(made.Description), "target_url": orNull(made.TargetURL), "created_at": made.at, "updated_at": made.at,
		"branches": []object{}, "commit": h.commitShape(c.repo, commit),
	})
	return created(h.statusShape(c.repo, made))
}

func (s *Status) check(r *repository) *answer {
	count := 0
	for _, other := range r.statuses {
		if other.SHA == s.SHA && other.Context == s.Context {
			count++
		}
	}
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, s.State):
		return refuse(invalid("Status", "state", "custom", "state is not included in the list"))
	case utf8.RuneCountInString(s.Description) > longest:
		return refuse(invalid("Status", "description", "custom", fmt.Sprintf("description is too long (maximum is %d characters)", longest)))
	case s.TargetURL != "" && !webAddress(s.TargetURL):
		return refuse(invalid("Status", "target_url", "custom", "target_url must use http(s) scheme"))
	case count >= 1000:
		return refuse(invalid("Status", "", "custom", "This SHA and context has reached the maximum number of statuses."))
	}
	return nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (h *Host) statusShape(r *repository, s *Status) object {
	creator := h.userShape(s.creator)
	return object{
		"url": h.repoAPI(r) + "/statuses/" + s.SHA, "avatar_url": creator["avatar_url"], "id": s.ID, "node_id": nodeID("StatusContext", s.ID),
		"state": s.State, "description": orNull(s.Description), "target_url": orNull(s.TargetURL), "context": s.Context,
		"created_at": s.at, "updated_at": s.at, "creator": creator,
	}
}

// listStatuses answers GET /repos/{owner}/{repo}/commits/{ref}/statuses, newest
// first.
func (h *Host) listStatuses(c *call) answer {
	sha := h.git.resolve(c.repo.dir, c.PathValue("ref"))
	if sha == "" {
		return notFound()
	}
	found := []object{}
	for _, s := range slices.Backward(c.repo.statuses) {
		if s.SHA == sha {
			found = append(found, h.statusShape(c.repo, s))
		}
	}
	return c.list(found)
}

// green reports whether the newest status of each context of a commit is success.
func (r *repository) green(sha string) bool {
	newest := map[string]string{}
	for _, s := range r.statuses {
		if s.SHA == sha {
			newest[s.Context] = s.State
		}
	}
	for _, state := range newest {
		if state != "success" {
			return false
		}
	}
	return true
}
