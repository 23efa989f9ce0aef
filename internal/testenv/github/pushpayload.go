package github

import (
	"fmt"
	"strings"
)

// pushPayload is what a push tells of a move.
func (h *Host) pushPayload(r *repository, by *account, m move, env []string) (object, error) {
	payload := object{
		"ref": m.ref, "before": m.before, "after": m.after, "created": m.before == zero, "deleted": m.after == zero,
		"forced": false, "base_ref": nil, "commits": []object{}, "head_commit": nil,
		"pusher": object{"name": by.Login, "email": by.email()},
	}
	if m.after == zero {
		payload["compare"] = fmt.Sprintf("%s/compare/%s...%s", h.repoURL(r), m.before[:12], zero[:12])
		return payload, nil
	}
	if m.before == zero {
		payload["compare"] = h.repoURL(r) + "/compare/" + short(m.ref)
		payload["base_ref"] = h.baseRef(r, m)
	} else {
		payload["compare"] = fmt.Sprintf("%s/compare/%s...%s", h.repoURL(r), m.before[:12], m.after[:12])
		payload["forced"] = !h.git.contains(r.dir, m.before, m.after, env)
	}
	commits, err := h.git.log(r.dir, env, h.newCommits(r, m)...)
	if err != nil {
		return nil, err
	}
	head, err := h.git.commit(r.dir, m.after+"^{commit}", env)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	shapes := []object{}
	for i := range commits {
		shapes = append(shapes, h.pushedShape(r, &commits[i]))
	}
	payload.add(object{"commits": shapes, "head_commit": h.pushedShape(r, head)})
	return payload, nil
}

// baseRef is the branch that a new ref was made of, where it adds nothing to it.
func (h *Host) baseRef(r *repository, m move) any {
	refs, err := h.git.refs(r.dir, "refs/heads/")
	if err != nil {
		return nil
	}
	target := h.git.resolve(r.dir, m.after)
	for _, ref := range refs {
		if ref.sha == target && ref.name != m.ref {
			return ref.name
		}
	}
	return nil
}

// newCommits chooses the commits of a move: those since before, and for a new ref
// those that no branch had.
func (h *Host) newCommits(r *repository, m move) []string {
	if m.before != zero {
		return []string{m.before + ".." + m.after}
	}
	chosen := []string{m.after}
	refs, err := h.git.refs(r.dir, "refs/heads/")
	if err != nil {
		return chosen
	}
	for _, ref := range refs {
		if ref.name != m.ref {
			chosen = append(chosen, "^"+ref.sha)
		}
	}
	return chosen
}

// pushRepository turns a repository's shape into the one a push has, where
// GitHub kept an older form. mu is held.
func (h *Host) pushRepository(r *repository, shape object) {
	owner := h.userShape(r.owner)
	owner.add(object{"name": r.owner.Login, "email": r.owner.email()})
	shape.add(object{
		"url": h.repoURL(r), "owner": owner, "created_at": r.created.Unix(), "pushed_at": r.pushed.Unix(),
		"stargazers": 0, "master_branch": r.branch,
	})
}

// emitMade tells of refs that came or went. mu is held.
func (h *Host) emitMade(r *repository, by *account, m move) {
	event := ""
	switch zero {
	case m.before:
		event = "create"
	case m.after:
		event = "delete"
	default:
		return
	}
	kind := "branch"
	if strings.HasPrefix(m.ref, "refs/tags/") {
		kind = "tag"
	}
	payload := object{"ref": short(m.ref), "ref_type": kind, "pusher_type": "user"}
	if event == "create" {
		payload.add(object{"master_branch": r.branch, "description": nil})
	}
	h.emit(r, event, by, payload)
}
