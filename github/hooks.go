package github

import (
	"context"
	"slices"

	gh "github.com/google/go-github/v60/github"
	"github.com/skypanel/sky/models"
)

// Hook is a webhook as Sky wants it.
type Hook struct {
	ID     int64 // 0 where there is none yet
	URL    string
	Secret string
}

// hookEvents are what Sky acts on.
func hookEvents() []string { return []string{"pull_request", "push", "repository"} }

// EnsureHook makes the webhook, or mends it where somebody changed or removed it,
// and returns its id. The secret is written each time: GitHub shows nobody whether
// it is still the same.
func (c *Client) EnsureHook(ctx context.Context, repository string, hook Hook) (int64, error) {
	owner, repo := split(repository)
	wanted := &gh.Hook{
		Name: gh.String("web"), Active: gh.Bool(true), Events: hookEvents(),
		Config: &gh.HookConfig{
			URL: gh.String(hook.URL), ContentType: gh.String("json"), Secret: gh.String(hook.Secret), InsecureSSL: gh.String("0"),
		},
	}
	if hook.ID == 0 {
		found, err := c.findHook(ctx, repository, hook.URL)
		if err != nil {
			return 0, err
		}
		hook.ID = found
	}
	if hook.ID != 0 {
		_, _, err := c.rest.Repositories.EditHook(ctx, owner, repo, hook.ID, wanted)
		if err = wrong(ctx, "mend the webhook", err); !models.IsCode(err, models.NotFound) {
			return hook.ID, err
		}
	}
	made, _, err := c.rest.Repositories.CreateHook(ctx, owner, repo, wanted)
	return made.GetID(), wrong(ctx, "install the webhook", err)
}

// findHook returns the webhook that leads to an address: one that Sky made before
// a crash kept it from writing that down.
func (c *Client) findHook(ctx context.Context, repository, url string) (int64, error) {
	owner, repo := split(repository)
	hooks, _, err := c.rest.Repositories.ListHooks(ctx, owner, repo, &gh.ListOptions{PerPage: perPage})
	if err != nil {
		return 0, wrong(ctx, "list webhooks", err)
	}
	at := slices.IndexFunc(hooks, func(hook *gh.Hook) bool { return hook.GetConfig().GetURL() == url })
	if at < 0 {
		return 0, nil
	}
	return hooks[at].GetID(), nil
}

// HookIsSound reports whether the webhook is there, active, and as Sky made it.
func (c *Client) HookIsSound(ctx context.Context, repository string, hook Hook) (bool, error) {
	owner, repo := split(repository)
	found, _, err := c.rest.Repositories.GetHook(ctx, owner, repo, hook.ID)
	if err = wrong(ctx, "look the webhook up", err); models.IsCode(err, models.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	events := slices.Sorted(slices.Values(found.Events))
	return found.GetActive() && found.GetConfig().GetURL() == hook.URL && found.GetConfig().GetContentType() == "json" &&
		slices.Equal(events, hookEvents()), nil
}

// RemoveHook removes a webhook; one that is not there is removed.
func (c *Client) RemoveHook(ctx context.Context, repository string, id int64) error {
	owner, repo := split(repository)
	_, err := c.rest.Repositories.DeleteHook(ctx, owner, repo, id)
	if err = wrong(ctx, "remove the webhook", err); models.IsCode(err, models.NotFound) {
		return nil
	}
	return err
}
