package github

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// payloads are the events that the Host makes, as GitHub's description names them.
const payloads = `
ping push create delete status
pull-request-opened pull-request-synchronize pull-request-closed pull-request-reopened
issue-comment-created issue-comment-edited issue-comment-deleted
deployment-created deployment-status-created
repository-renamed repository-transferred repository-archived repository-edited
repository-privatized repository-publicized repository-deleted
installation-created installation-suspend installation-unsuspend installation-deleted
installation-repositories-added installation-repositories-removed
github-app-authorization-revoked
`

func TestPayloadsAreAsPublished(t *testing.T) {
	j := newJudge(t)
	h, client := shop(t)
	to := newReceiver(t)
	app, err := h.AddApp(AppOptions{Slug: "sky", Owner: "acme", Callback: "http://sky.test/callback", WebhookURL: to.URL})
	require.NoError(t, err)
	hooked(t, client, to, "*")
	actOnApp(t, h, app)
	actOnPulls(t, h, client)
	actOnRepository(t, h)

	judged := map[string]bool{}
	for _, d := range h.Deliveries() {
		name := d.Event
		if d.Action != "" {
			name += "-" + d.Action
		}
		name = strings.ReplaceAll(name, "_", "-")
		judged[name] = true
		var value any
		require.NoError(t, json.Unmarshal(d.Payload, &value))
		schema := j.document.Components.Schemas["webhook-"+name]
		if schema == nil {
			t.Errorf("%s is not among the payloads", name)
		} else if err := schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s: %s", name, reasons(err))
		}
	}
	for name := range strings.FieldsSeq(payloads) {
		require.True(t, judged[name], "%s was not judged", name)
	}
}

func actOnApp(t *testing.T, h *Host, app App) {
	require.NoError(t, h.AddRepository("acme/other", true))
	id, err := h.Install(app.ID, "acme", "acme/shop")
	require.NoError(t, err)
	require.NoError(t, h.AddInstallationRepositories(id, "acme/other"))
	require.NoError(t, h.RemoveInstallationRepositories(id, "acme/other"))
	require.NoError(t, h.SuspendInstallation(id))
	require.NoError(t, h.UnsuspendInstallation(id))
	push(t, h, "main", "with an installation", map[string]string{"c": "c"})
	require.NoError(t, h.DeleteInstallation(id))
	require.NoError(t, h.RevokeAuthorization("acme", app.ClientID))
}

func actOnPulls(t *testing.T, h *Host, client *gh.Client) {
	ctx := t.Context()
	sha := push(t, h, "topic", "topic", map[string]string{"b": "b"})
	number, err := h.OpenPull("acme/shop", "topic", "main", "Topic")
	require.NoError(t, err)
	push(t, h, "topic", "more", map[string]string{"b": "c"})
	require.NoError(t, h.ClosePull("acme/shop", number, false))
	require.NoError(t, h.ReopenPull("acme/shop", number))
	comment := did[*gh.IssueComment](t)(client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("hi")}))
	did[*gh.IssueComment](t)(client.Issues.EditComment(ctx, "acme", "shop", comment.GetID(), &gh.IssueComment{Body: gh.String("ho")}))
	_, err = client.Issues.DeleteComment(ctx, "acme", "shop", comment.GetID())
	require.NoError(t, err)
	did[*gh.RepoStatus](t)(client.Repositories.CreateStatus(ctx, "acme", "shop", sha, &gh.RepoStatus{State: gh.String("success")}))
	made := did[*gh.Deployment](t)(client.Repositories.CreateDeployment(ctx, "acme", "shop", &gh.DeploymentRequest{Ref: gh.String(sha)}))
	did[*gh.DeploymentStatus](t)(client.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", made.GetID(), &gh.DeploymentStatusRequest{State: gh.String("success")}))
}

func actOnRepository(t *testing.T, h *Host) {
	_, err := h.PushTag("acme/shop", "v1", "main", "")
	require.NoError(t, err)
	require.NoError(t, h.DeleteBranch("acme/shop", "topic"))
	require.NoError(t, h.SetPrivate("acme/shop", false))
	require.NoError(t, h.SetPrivate("acme/shop", true))
	require.NoError(t, h.SetDefaultBranch("acme/shop", "main"))
	require.NoError(t, h.RenameRepository("acme/shop", "store"))
	h.AddOrganization("corp", "acme")
	require.NoError(t, h.TransferRepository("acme/store", "corp"))
	_, err = h.Push(Push{Repo: "corp/store", Branch: "side", Base: "main"})
	require.NoError(t, err)
	require.NoError(t, h.ArchiveRepository("corp/store"))
	require.NoError(t, h.DeleteRepository("corp/store"))
}
