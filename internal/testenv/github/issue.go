package github

import "fmt"

// reactions are those that nobody had.
func reactions(of string) object {
	shape := object{"url": of + "/reactions", "total_count": 0}
	for _, kind := range []string{"+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"} {
		shape[kind] = 0
	}
	return shape
}

// issueShape is the issue that a pull request also is.
func (h *Host) issueShape(r *repository, p *pull, comments int) object {
	self, page := fmt.Sprintf("%s/issues/%d", h.repoAPI(r), p.number), fmt.Sprintf("%s/pull/%d", h.repoURL(r), p.number)
	shape := object{
		"url": self, "repository_url": h.repoAPI(r), "labels_url": self + "/labels{/name}", "comments_url": self + "/comments",
		"events_url": self + "/events", "html_url": page, "id": p.id, "node_id": nodeID("Issue", p.id), "number": p.number,
		"title": p.title, "user": h.userShape(p.author), "labels": []object{}, "state": p.state(), "locked": false, "assignee": nil,
		"assignees": []object{}, "milestone": nil, "comments": comments, "created_at": p.made, "updated_at": p.updated, "closed_at": nil,
		"author_association": association(r, p.author), "active_lock_reason": nil, "body": nil, "reactions": reactions(self),
		"performed_via_github_app": nil, "draft": false,
		"pull_request": object{
			"url": fmt.Sprintf("%s/pulls/%d", h.repoAPI(r), p.number), "html_url": page, "diff_url": page + ".diff",
			"patch_url": page + ".patch", "merged_at": nil,
		},
	}
	if !p.open {
		shape["closed_at"] = p.closed
	}
	return shape
}

// commentsOn counts the comments on a pull request.
func (r *repository) commentsOn(number int) int {
	count := 0
	for _, m := range r.comments {
		if m.Number == number {
			count++
		}
	}
	return count
}
