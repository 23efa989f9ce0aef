package github

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Comment is one on a pull request.
type Comment struct {
	ID     int64
	Number int // of the pull request
	Login  string
	Body   string
	Edits  int

	author        *account
	made, updated time.Time
}

// Comments returns what stands below a pull request, oldest first.
func (h *Host) Comments(full string, number int) []Comment {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Comment
	if r := h.repository(full); r != nil {
		for _, c := range r.comments {
			if c.Number == number {
				found = append(found, *c)
			}
		}
	}
	return found
}

func (h *Host) commentShape(r *repository, m *Comment) object {
	issue := fmt.Sprintf("%s/issues/%d", h.repoAPI(r), m.Number)
	self := fmt.Sprintf("%s/issues/comments/%d", h.repoAPI(r), m.ID)
	return object{
		"id": m.ID, "node_id": nodeID("IssueComment", m.ID), "url": self, "reactions": reactions(self),
		"html_url":  fmt.Sprintf("%s/pull/%d#issuecomment-%d", h.repoURL(r), m.Number, m.ID),
		"issue_url": issue, "body": m.Body, "user": h.userShape(m.author), "created_at": m.made, "updated_at": m.updated,
		"author_association": association(r, m.author), "performed_via_github_app": nil,
	}
}

// getComments answers GET on issues/{number}/comments and on issues/comments/{id},
// which the mux cannot tell apart.
func (h *Host) getComments(c *call) answer {
	switch {
	case c.PathValue("number") == "comments":
		return h.getComment(c)
	case c.PathValue("id") == "comments":
		return h.listComments(c)
	}
	return notFound()
}

// listComments answers GET /repos/{owner}/{repo}/issues/{number}/comments.
func (h *Host) listComments(c *call) answer {
	number := int(c.number("number"))
	if c.repo.pull(number) == nil {
		return notFound()
	}
	found := []object{}
	for _, m := range c.repo.comments {
		if m.Number == number {
			found = append(found, h.commentShape(c.repo, m))
		}
	}
	return c.list(found)
}

// createComment answers POST /repos/{owner}/{repo}/issues/{number}/comments.
func (h *Host) createComment(c *call) answer {
	number := int(c.number("number"))
	if c.repo.pull(number) == nil {
		return notFound()
	}
	body, refused := c.comment()
	if refused != nil {
		return *refused
	}
	made := &Comment{ID: h.id(), Number: number, Body: body, author: c.actor(), Login: c.actor().Login, made: h.now(), updated: h.now()}
	c.repo.comments = append(c.repo.comments, made)
	h.emitComment(c, "created", made, nil)
	return created(h.commentShape(c.repo, made))
}

func (c *call) comment() (string, *answer) {
	var asked struct {
		Body string `json:"body"`
	}
	if refused := c.read(&asked); refused != nil {
		return "", refused
	}
	if strings.TrimSpace(asked.Body) == "" {
		return "", refuse(invalid("IssueComment", "body", "missing_field", ""))
	}
	return asked.Body, nil
}

func (h *Host) emitComment(c *call, action string, m *Comment, more object) {
	payload := object{
		"action": action, "comment": h.commentShape(c.repo, m),
		"issue": h.issueShape(c.repo, c.repo.pull(m.Number), c.repo.commentsOn(m.Number)),
	}
	payload.add(more)
	h.emit(c.repo, "issue_comment", c.actor(), payload)
}

func (c *call) oldComment() *Comment {
	for _, m := range c.repo.comments {
		if m.ID == c.number("id") {
			return m
		}
	}
	return nil
}

// getComment answers GET /repos/{owner}/{repo}/issues/comments/{id}.
func (h *Host) getComment(c *call) answer {
	if m := c.oldComment(); m != nil {
		return ok(h.commentShape(c.repo, m))
	}
	return notFound()
}

// mayEdit reports whether the caller wrote the comment or may push.
func (h *Host) mayEdit(c *call, m *Comment) bool {
	return c.actor() == m.author || h.sees(c.token, c.repo) >= rolePush
}

// editComment answers PATCH /repos/{owner}/{repo}/issues/comments/{id}.
func (h *Host) editComment(c *call) answer {
	m := c.oldComment()
	switch {
	case m == nil:
		return notFound()
	case !h.mayEdit(c, m):
		return fail(403, "Must have admin rights to Repository.")
	}
	body, refused := c.comment()
	if refused != nil {
		return *refused
	}
	former := m.Body
	m.Body, m.updated = body, h.now()
	m.Edits++
	h.emitComment(c, "edited", m, object{"changes": object{"body": object{"from": former}}})
	return ok(h.commentShape(c.repo, m))
}

// deleteComment answers DELETE /repos/{owner}/{repo}/issues/comments/{id}.
func (h *Host) deleteComment(c *call) answer {
	m := c.oldComment()
	switch {
	case m == nil:
		return notFound()
	case !h.mayEdit(c, m):
		return fail(403, "Must have admin rights to Repository.")
	}
	c.repo.comments = slices.DeleteFunc(c.repo.comments, func(other *Comment) bool { return other == m })
	h.emitComment(c, "deleted", m, nil)
	return gone()
}
