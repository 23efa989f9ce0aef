package github

import (
	"fmt"
	"slices"
	"strings"
)

// AddRepository makes an empty repository; its owner is made too, as a user, if
// need be.
func (h *Host) AddRepository(full string, private bool) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	r, err := h.newRepository(full, private)
	if err != nil {
		return err
	}
	if err := h.git.create(r.dir); err != nil {
		return fmt.Errorf("make repository %s: %w", full, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos = append(h.repos, r)
	h.broadcast()
	return nil
}

func (h *Host) newRepository(full string, private bool) (*repository, error) {
	owner, name, split := strings.Cut(full, "/")
	h.mu.Lock()
	defer h.mu.Unlock()
	if !split || owner == "" || name == "" {
		return nil, fmt.Errorf("%q is not owner/name", full)
	}
	if known := h.repository(full); known != nil && strings.EqualFold(known.full(), full) {
		return nil, fmt.Errorf("repository %s exists", full)
	}
	delete(h.moved, strings.ToLower(full))
	r := &repository{
		ID: h.id(), owner: h.addAccount(owner), name: name, private: private, branch: "main",
		created: h.now(), pushed: h.now(), roles: map[string]int{},
	}
	r.dir = h.git.directory(r.ID)
	return r, nil
}

// AddCollaborator gives a user "pull", "push" or "admin" on a repository, or with
// "none" takes it back.
func (h *Host) AddCollaborator(full, login, permission string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	role := slices.Index([]string{"none", "pull", "push", "admin"}, permission)
	switch {
	case err != nil:
		return err
	case role < 0:
		return fmt.Errorf("%q is no permission", permission)
	}
	r.roles[strings.ToLower(h.addAccount(login).Login)] = role
	return nil
}

// Fork copies a repository to a user's account and returns its full name.
func (h *Host) Fork(full, login string) (string, error) {
	h.mu.Lock()
	parent, err := h.named(full)
	h.mu.Unlock()
	if err != nil {
		return "", err
	}
	copied := login + "/" + parent.name
	if err := h.AddRepository(copied, parent.private); err != nil {
		return "", err
	}
	h.mu.Lock()
	fork := h.repository(copied)
	fork.parent, fork.branch = parent, parent.branch
	h.mu.Unlock()
	h.acts.Lock()
	defer h.acts.Unlock()
	if _, err := h.git.run(fork.dir, nil, "fetch", "--quiet", parent.dir, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return "", fmt.Errorf("fork %s: %w", full, err)
	}
	return copied, nil
}

// RenameRepository gives a repository another name; the former one redirects.
func (h *Host) RenameRepository(full, name string) error {
	return h.change(full, func(r *repository) {
		former := r.name
		h.moved[strings.ToLower(r.full())] = r
		r.name = name
		h.emitRepository(r, "renamed", object{"changes": object{"repository": object{"name": object{"from": former}}}})
	})
}

// TransferRepository gives a repository to another account.
func (h *Host) TransferRepository(full, to string) error {
	return h.change(full, func(r *repository) {
		former := r.owner
		h.moved[strings.ToLower(r.full())] = r
		r.owner = h.addAccount(to)
		from := object{"user": h.userShape(former)}
		if former.organization {
			from = object{"organization": h.userShape(former)}
		}
		h.emitRepository(r, "transferred", object{"changes": object{"owner": object{"from": from}}})
	})
}

// SetPrivate makes a repository private or public.
func (h *Host) SetPrivate(full string, private bool) error {
	return h.change(full, func(r *repository) {
		r.private = private
		h.emitRepository(r, map[bool]string{true: "privatized", false: "publicized"}[private], nil)
	})
}

// SetDefaultBranch changes which branch a repository shows first.
func (h *Host) SetDefaultBranch(full, branch string) error {
	return h.change(full, func(r *repository) {
		former := r.branch
		r.branch = branch
		h.emitRepository(r, "edited", object{"changes": object{"default_branch": object{"from": former}}})
	})
}

// ArchiveRepository makes a repository read-only.
func (h *Host) ArchiveRepository(full string) error {
	return h.change(full, func(r *repository) {
		r.archived = true
		h.emitRepository(r, "archived", nil)
	})
}

// DeleteRepository removes a repository with all it holds.
func (h *Host) DeleteRepository(full string) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	if err != nil {
		return err
	}
	h.emitRepository(r, "deleted", nil)
	h.repos = slices.DeleteFunc(h.repos, func(other *repository) bool { return other == r })
	for name, moved := range h.moved {
		if moved == r {
			delete(h.moved, name)
		}
	}
	h.broadcast()
	return h.git.remove(r.dir)
}

func (h *Host) change(full string, change func(*repository)) error {
	h.acts.Lock()
	defer h.acts.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	if err != nil {
		return err
	}
	change(r)
	h.broadcast()
	return nil
}

// emitRepository tells of an act on a repository. mu is held.
func (h *Host) emitRepository(r *repository, action string, more object) {
	payload := object{"action": action}
	payload.add(more)
	h.emit(r, "repository", r.owner, payload)
}
