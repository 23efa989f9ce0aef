package github

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Hook is a webhook as it is in force, with its secret.
type Hook struct {
	ID          int64
	URL         string
	ContentType string // json or form
	Secret      string
	InsecureSSL bool
	Events      []string
	Active      bool
	LastCode    int // what the receiver answered last, 0 before the first
}

// hook is one of a repository's, or the app's.
type hook struct {
	Hook
	kind             string // repository or integration
	target           int64  // the repository's id, or the app's
	created, updated time.Time
	insecure         string
}

// Hooks returns a repository's webhooks.
func (h *Host) Hooks(full string) []Hook {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Hook
	if r := h.repository(full); r != nil {
		for _, hook := range r.hooks {
			found = append(found, hook.Hook)
		}
	}
	return found
}

// DeleteHook removes a repository's webhook behind Sky's back.
func (h *Host) DeleteHook(full string, id int64) error {
	return h.change(full, func(r *repository) {
		r.hooks = slices.DeleteFunc(r.hooks, func(hook *hook) bool { return hook.ID == id })
	})
}

// EditHook changes a repository's webhook behind Sky's back: its URL, its secret,
// whether it is active.
func (h *Host) EditHook(full string, id int64, edit func(*Hook)) error {
	return h.change(full, func(r *repository) {
		for _, hook := range r.hooks {
			if hook.ID == id {
				edit(&hook.Hook)
			}
		}
	})
}

// hookConfig is a hook's config in a request.
type hookConfig struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
	InsecureSSL any     `json:"insecure_ssl"`
}

type hookRequest struct {
	Name         string      `json:"name"`
	Config       *hookConfig `json:"config"`
	Events       []string    `json:"events"`
	AddEvents    []string    `json:"add_events"`
	RemoveEvents []string    `json:"remove_events"`
	Active       *bool       `json:"active"`
}

// apply replaces the config by the request's, as GitHub does: a secret that is
// not given again is gone.
func (c *hookConfig) apply(to *hook) *answer {
	if c.URL == nil || !webAddress(*c.URL) {
		return refuse(invalid("Hook", "url", "custom", "url is missing or no web address"))
	}
	to.URL, to.Secret, to.ContentType, to.insecure = *c.URL, "", "form", "0"
	if c.Secret != nil {
		to.Secret = *c.Secret
	}
	if c.ContentType != nil {
		to.ContentType = *c.ContentType
	}
	if !slices.Contains([]string{"json", "form"}, to.ContentType) {
		return refuse(invalid("Hook", "content_type", "custom", "content_type must be json or form"))
	}
	if c.InsecureSSL != nil {
		to.insecure = fmt.Sprint(c.InsecureSSL)
	}
	to.InsecureSSL = to.insecure == "1"
	return nil
}

func webAddress(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && parsed.Host != "" && (parsed.Scheme == "http" || parsed.Scheme == "https")
}

// hookShape is a hook as the API shows it: its secret is masked.
func (h *Host) hookShape(r *repository, w *hook) object {
	self := fmt.Sprintf("%s/hooks/%d", h.repoAPI(r), w.ID)
	config := object{"url": w.URL, "content_type": w.ContentType, "insecure_ssl": w.insecure}
	if w.Secret != "" {
		config["secret"] = "********"
	}
	last := object{"code": nil, "status": "unused", "message": nil}
	if w.LastCode != 0 {
		last = object{"code": w.LastCode, "status": "active", "message": http.StatusText(w.LastCode)}
	}
	return object{
		"type": "Repository", "id": w.ID, "name": "web", "active": w.Active, "events": w.Events, "config": config,
		"created_at": w.created, "updated_at": w.updated, "url": self, "test_url": self + "/test", "ping_url": self + "/pings",
		"deliveries_url": self + "/deliveries", "last_response": last,
	}
}

// listHooks answers GET /repos/{owner}/{repo}/hooks.
func (h *Host) listHooks(c *call) answer {
	found := []object{}
	for _, w := range c.repo.hooks {
		found = append(found, h.hookShape(c.repo, w))
	}
	return c.list(found)
}

// createHook answers POST /repos/{owner}/{repo}/hooks, and pings the new hook.
func (h *Host) createHook(c *call) answer {
	var asked hookRequest
	if refused := c.read(&asked); refused != nil {
		return *refused
	}
	made := &hook{Hook: Hook{ID: h.id(), Active: true, Events: []string{"push"}}, kind: "repository", target: c.repo.ID, created: h.now()}
	if asked.Config == nil {
		asked.Config = &hookConfig{}
	}
	if refused := h.editTo(made, asked); refused != nil {
		return *refused
	}
	if refused := admitHook(c.repo, made); refused != nil {
		return *refused
	}
	c.repo.hooks = append(c.repo.hooks, made)
	h.ping(c, made)
	return created(h.hookShape(c.repo, made))
}

// admitHook holds a new hook to what a repository may have.
func admitHook(r *repository, made *hook) *answer {
	for _, event := range made.Events {
		count := 0
		for _, other := range r.hooks {
			if other.URL == made.URL && slices.Contains(other.Events, event) {
				return refuse(invalid("Hook", "", "custom", "Hook already exists on this repository"))
			}
			if slices.Contains(other.Events, event) {
				count++
			}
		}
		if count >= 20 {
			return refuse(invalid("Hook", "", "custom", fmt.Sprintf("The %q event cannot have more than 20 hooks", event)))
		}
	}
	return nil
}

func (h *Host) editTo(w *hook, asked hookRequest) *answer {
	if asked.Name != "" && asked.Name != "web" {
		return refuse(invalid("Hook", "name", "custom", "name must be web"))
	}
	if asked.Config != nil {
		if refused := asked.Config.apply(w); refused != nil {
			return refused
		}
	}
	if asked.Events != nil {
		w.Events = asked.Events
	}
	w.Events = append(slices.Clone(w.Events), asked.AddEvents...)
	w.Events = slices.DeleteFunc(w.Events, func(e string) bool { return slices.Contains(asked.RemoveEvents, e) })
	slices.Sort(w.Events)
	w.Events = slices.Compact(w.Events)
	for _, event := range w.Events {
		if !slices.Contains(knownEvents(), event) {
			return refuse(invalid("Hook", "events", "custom", fmt.Sprintf("%q is not a valid event", event)))
		}
	}
	if asked.Active != nil {
		w.Active = *asked.Active
	}
	w.updated = h.now()
	return nil
}

// knownEvents are the events that a repository's hook may ask for.
func knownEvents() []string {
	return strings.Fields(`* branch_protection_rule check_run check_suite code_scanning_alert commit_comment create delete
		deploy_key deployment deployment_status discussion discussion_comment fork gollum issue_comment issues label member
		milestone package page_build ping project project_card project_column public pull_request pull_request_review
		pull_request_review_comment pull_request_review_thread push registry_package release repository repository_import
		repository_vulnerability_alert star status team_add watch workflow_job workflow_run merge_group meta`)
}

func (r *repository) hook(id int64) *hook {
	for _, w := range r.hooks {
		if w.ID == id {
			return w
		}
	}
	return nil
}

// getHook answers GET /repos/{owner}/{repo}/hooks/{id}.
func (h *Host) getHook(c *call) answer {
	if w := c.repo.hook(c.number("id")); w != nil {
		return ok(h.hookShape(c.repo, w))
	}
	return notFound()
}

// editHook answers PATCH /repos/{owner}/{repo}/hooks/{id}.
func (h *Host) editHook(c *call) answer {
	w := c.repo.hook(c.number("id"))
	if w == nil {
		return notFound()
	}
	var asked hookRequest
	if refused := c.read(&asked); refused != nil {
		return *refused
	}
	edited := *w
	if refused := h.editTo(&edited, asked); refused != nil {
		return *refused
	}
	*w = edited
	return ok(h.hookShape(c.repo, w))
}

// deleteHook answers DELETE /repos/{owner}/{repo}/hooks/{id}.
func (h *Host) deleteHook(c *call) answer {
	w := c.repo.hook(c.number("id"))
	if w == nil {
		return notFound()
	}
	c.repo.hooks = slices.DeleteFunc(c.repo.hooks, func(other *hook) bool { return other == w })
	return gone()
}

// pingHook answers POST /repos/{owner}/{repo}/hooks/{id}/pings.
func (h *Host) pingHook(c *call) answer {
	w := c.repo.hook(c.number("id"))
	if w == nil {
		return notFound()
	}
	h.ping(c, w)
	return gone()
}

func (h *Host) ping(c *call, w *hook) {
	h.deliver(w, c.repo, "ping", object{
		"zen": "Anything added dilutes everything else.", "hook_id": w.ID, "hook": h.hookShape(c.repo, w),
		"repository": h.repoShape(c.repo), "sender": h.userShape(c.actor()),
	})
}

// actor is in whose name a call acts.
func (c *call) actor() *account {
	switch {
	case c.token == nil:
		return nil
	case c.token.installation != nil:
		return c.token.installation.app.bot
	}
	return c.token.user
}
