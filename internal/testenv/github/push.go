package github

import (
	"errors"
	"fmt"
	"strings"
)

// Push is an update of one branch.
type Push struct {
	Repo    string // owner/name
	Branch  string
	By      string   // who pushes; empty is the repository's owner
	Base    string   // where a new or forced branch starts: a branch, tag or commit; empty is nothing, and the default branch for a new branch
	Force   bool     // start from Base though the branch exists
	Hidden  bool     // deliver at once, but let git see it only after Publish
	Commits []Commit // may be none, where the branch is made or moved to Base
}

// Commit is what one commit changes.
type Commit struct {
	Message string
	Files   map[string]string // by path, laid over what is there
	Remove  []string          // paths
	Dir     string            // instead of Files: the whole tree is this directory
}

// move is a ref's way from one object to another.
type move struct{ ref, before, after string }

// Push makes commits, moves the branch, tells the hooks, and returns the new
// head. Pull requests from the branch follow.
func (h *Host) Push(p Push) (sha string, err error) {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, by, err := h.pusher(p.Repo, p.By)
	if err != nil {
		return "", err
	}
	if err := h.publish(r); err != nil {
		return "", err
	}
	m, env, err := h.makeCommits(r, by, p)
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", p.Repo, err)
	}
	return m.after, h.land(r, by, m, env)
}

func (h *Host) pusher(full, login string) (*repository, *account, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	switch {
	case err != nil:
		return nil, nil, err
	case r.archived:
		return nil, nil, fmt.Errorf("repository %s is archived", full)
	case login != "":
		return r, h.addAccount(login), nil
	case len(r.owner.owners) > 0:
		return r, h.addAccount(r.owner.owners[0]), nil
	}
	return r, r.owner, nil
}

// makeCommits writes a push's commits and returns where the branch is to go.
func (h *Host) makeCommits(r *repository, by *account, p Push) (move, []string, error) {
	m := move{ref: "refs/heads/" + p.Branch, before: zero}
	if p.Branch == "" {
		return m, nil, errors.New("a branch is missing")
	}
	var env []string
	if p.Hidden {
		var err error
		if env, err = h.git.quarantine(r.dir); err != nil {
			return m, nil, err
		}
	}
	if sha, err := h.git.run(r.dir, nil, "rev-parse", "--verify", "--quiet", m.ref); err == nil {
		m.before = sha
	}
	head, err := h.start(r, p, m.before)
	if err != nil {
		return m, nil, err
	}
	h.mu.Lock()
	at := h.now()
	h.mu.Unlock()
	for _, c := range p.Commits {
		if head, err = h.git.write(r.dir, head, commit{Commit: c, author: by, at: at}, env); err != nil {
			return m, nil, err
		}
	}
	if m.after = head; head == "" || head == m.before {
		return m, nil, errors.New("nothing to push")
	}
	return m, env, nil
}

// start is the commit that a push builds on, "" for none.
func (h *Host) start(r *repository, p Push, before string) (string, error) {
	if before != zero && !p.Force {
		return before, nil
	}
	base := p.Base
	if base == "" && before == zero && !p.Force && p.Branch != r.branch {
		return h.git.resolve(r.dir, r.branch), nil
	}
	if base == "" {
		return "", nil
	}
	sha := h.git.resolve(r.dir, base)
	if sha == "" {
		return "", fmt.Errorf("no commit found for %s", base)
	}
	return sha, nil
}

// land tells of a move, and makes it unless it is hidden.
func (h *Host) land(r *repository, by *account, m move, env []string) error {
	payload, err := h.pushPayload(r, by, m, env)
	if err != nil {
		return err
	}
	if env == nil {
		if err := h.moveRef(r, m); err != nil {
			return err
		}
	} else {
		r.waiting = append(r.waiting, m)
	}
	h.mu.Lock()
	r.pushed = h.now()
	h.emit(r, "push", by, payload)
	h.emitMade(r, by, m)
	h.broadcast()
	h.mu.Unlock()
	return h.followPulls(r, by, m, env)
}

func (h *Host) moveRef(r *repository, m move) error {
	if m.after == zero {
		_, err := h.git.run(r.dir, nil, "update-ref", "-d", m.ref)
		return err
	}
	_, err := h.git.run(r.dir, nil, "update-ref", m.ref, m.after)
	return err
}

// Publish lets git see what was pushed Hidden.
func (h *Host) Publish(full string) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, _, err := h.pusher(full, "")
	if err != nil {
		return err
	}
	return h.publish(r)
}

// publish makes the moves that wait. acts is held.
func (h *Host) publish(r *repository) error {
	if err := h.git.reveal(r.dir); err != nil {
		return fmt.Errorf("publish %s: %w", r.full(), err)
	}
	for _, m := range r.waiting {
		if err := h.moveRef(r, m); err != nil {
			return fmt.Errorf("publish %s: %w", r.full(), err)
		}
	}
	r.waiting = nil
	return nil
}

// DeleteBranch removes a branch; open pull requests from it close.
func (h *Host) DeleteBranch(full, branch string) error {
	return h.deleteRef(full, "refs/heads/"+branch)
}

// DeleteTag removes a tag.
func (h *Host) DeleteTag(full, tag string) error { return h.deleteRef(full, "refs/tags/"+tag) }

func (h *Host) deleteRef(full, ref string) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, by, err := h.pusher(full, "")
	if err != nil {
		return err
	}
	before, err := h.git.run(r.dir, nil, "rev-parse", "--verify", "--quiet", ref)
	if err != nil {
		return fmt.Errorf("repository %s has no %s", full, ref)
	}
	return h.land(r, by, move{ref: ref, before: before, after: zero}, nil)
}

// PushTag makes a tag of what of names: a branch, tag or commit. With a message
// it is an annotated one.
func (h *Host) PushTag(full, tag, of, message string) (sha string, err error) {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, by, err := h.pusher(full, "")
	if err != nil {
		return "", err
	}
	commit := h.git.resolve(r.dir, of)
	if commit == "" {
		return "", fmt.Errorf("no commit found for %s", of)
	}
	sha = commit
	if message != "" {
		h.mu.Lock()
		who := identity(by, h.now())
		h.mu.Unlock()
		if _, err := h.git.run(r.dir, who, "tag", "--annotate", "--message", message, "--", tag, commit); err != nil {
			return "", err
		}
		if sha, err = h.git.run(r.dir, nil, "rev-parse", "refs/tags/"+tag); err != nil {
			return "", err
		}
	}
	return sha, h.land(r, by, move{ref: "refs/tags/" + tag, before: zero, after: sha}, nil)
}

// Head returns the commit a branch is at, "" when there is none.
func (h *Host) Head(full, branch string) string {
	h.mu.Lock()
	r := h.repository(full)
	h.mu.Unlock()
	if r == nil {
		return ""
	}
	return h.git.resolve(r.dir, branch)
}

// short is what people call a ref.
func short(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
}
