package github

import (
	"errors"
	"fmt"
	"strings"
)

// OpenPull asks to merge a branch, as "branch" or "owner:branch" of a fork, into
// another, and returns the pull request's number.
func (h *Host) OpenPull(full, head, base, title string) (number int, err error) {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, _, err := h.pusher(full, "")
	if err != nil {
		return 0, err
	}
	p, err := h.draft(r, head, base, title)
	if err != nil {
		return 0, err
	}
	if err := h.fetchHead(r, p); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.pulls = append(r.pulls, p)
	return p.number, h.emitPull(r, p, "opened", p.author, nil)
}

func (h *Host) draft(r *repository, head, base, title string) (*pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &pull{title: title, open: true, base: base, branch: head, head: r, author: r.owner, made: h.now(), updated: h.now()}
	if login, branch, fork := strings.Cut(head, ":"); fork {
		p.branch, p.head = branch, h.forkOf(r, login)
		if p.head == nil {
			return nil, fmt.Errorf("%s has no fork of %s", login, r.full())
		}
		p.author = p.head.owner
	}
	if r.owner.organization && p.author == r.owner && len(r.owner.owners) > 0 {
		p.author = h.addAccount(r.owner.owners[0])
	}
	if p.headSHA = h.git.resolve(p.head.dir, p.branch); p.headSHA == "" {
		return nil, fmt.Errorf("%s has no branch %s", p.head.full(), p.branch)
	}
	if p.baseSHA = h.git.resolve(r.dir, base); p.baseSHA == "" {
		return nil, fmt.Errorf("%s has no branch %s", r.full(), base)
	}
	r.number++
	p.id, p.number = h.id(), r.number
	return p, nil
}

func (h *Host) forkOf(r *repository, login string) *repository {
	if r.owner.owns(login) {
		return r
	}
	for _, other := range h.repos {
		if other.parent == r && strings.EqualFold(other.owner.Login, login) {
			return other
		}
	}
	return nil
}

// fetchHead puts a pull request's head where refs/pull/N/head of its base is.
func (h *Host) fetchHead(r *repository, p *pull) error {
	to := fmt.Sprintf("refs/pull/%d/head", p.number)
	_, err := h.git.run(r.dir, nil, "fetch", "--quiet", "--no-tags", p.head.dir, "+refs/heads/"+p.branch+":"+to)
	if err != nil {
		return fmt.Errorf("pull request %d of %s: %w", p.number, r.full(), err)
	}
	return nil
}

// ClosePull closes a pull request, and merges it first if asked.
func (h *Host) ClosePull(full string, number int, merge bool) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, by, err := h.pusher(full, "")
	if err != nil {
		return err
	}
	h.mu.Lock()
	p := r.pull(number)
	h.mu.Unlock()
	if p == nil || !p.open {
		return fmt.Errorf("%s has no open pull request %d", full, number)
	}
	if merge {
		if err := h.merge(r, p, by); err != nil {
			return fmt.Errorf("merge pull request %d of %s: %w", number, full, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closePull(r, p, by)
}

// closePull tells that a pull request is closed. mu is held.
func (h *Host) closePull(r *repository, p *pull, by *account) error {
	p.open, p.closed, p.updated = false, h.now(), h.now()
	return h.emitPull(r, p, "closed", by, nil)
}

// ReopenPull opens a closed pull request again.
func (h *Host) ReopenPull(full string, number int) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	if err != nil {
		return err
	}
	p := r.pull(number)
	if p == nil || p.open || p.merged {
		return fmt.Errorf("%s has no pull request %d to open again", full, number)
	}
	p.open, p.updated = true, h.now()
	return h.emitPull(r, p, "reopened", p.author, nil)
}

// merge makes a merge commit of the pull request on its base, and pushes it.
func (h *Host) merge(r *repository, p *pull, by *account) error {
	base := h.git.resolve(r.dir, p.base)
	tree, err := h.git.run(r.dir, nil, "merge-tree", "--write-tree", base, p.headSHA)
	if err != nil {
		return errors.Join(errors.New("it conflicts"), err)
	}
	h.mu.Lock()
	who := identity(by, h.now())
	h.mu.Unlock()
	message := fmt.Sprintf("Merge pull request #%d from %s/%s\n\n%s", p.number, p.head.owner.Login, p.branch, p.title)
	sha, err := h.git.run(r.dir, who, "commit-tree", tree, "-p", base, "-p", p.headSHA, "-m", message)
	if err != nil {
		return err
	}
	h.mu.Lock()
	p.merged, p.merge = true, sha
	h.mu.Unlock()
	return h.land(r, by, move{ref: "refs/heads/" + p.base, before: base, after: sha}, nil)
}

// followPulls keeps the open pull requests from a branch with it: they follow a
// push, and close when the branch goes. acts is held.
func (h *Host) followPulls(head *repository, by *account, m move, env []string) error {
	if env != nil || !strings.HasPrefix(m.ref, "refs/heads/") {
		return nil
	}
	h.mu.Lock()
	repos := append([]*repository(nil), h.repos...)
	h.mu.Unlock()
	for _, r := range repos {
		for _, p := range r.pulls {
			if p.open && p.head == head && "refs/heads/"+p.branch == m.ref {
				if err := h.follow(r, p, by, m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (h *Host) follow(r *repository, p *pull, by *account, m move) error {
	if m.after == zero {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.closePull(r, p, by)
	}
	if err := h.fetchHead(r, p); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.headSHA, p.updated = m.after, h.now()
	return h.emitPull(r, p, "synchronize", by, object{"before": m.before, "after": m.after})
}

// emitPull tells of a pull request. mu is held.
func (h *Host) emitPull(r *repository, p *pull, action string, by *account, more object) error {
	shape, err := h.fullPull(r, p)
	if err != nil {
		return err
	}
	payload := object{"action": action, "number": p.number, "pull_request": shape}
	payload.add(more)
	h.emit(r, "pull_request", by, payload)
	h.broadcast()
	return nil
}
