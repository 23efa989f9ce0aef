package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// verbs are the commands that ask for each operation of the API. An operation
// without one is not done: add its command, and its line here.
var verbs = map[string]string{
	"accept-invitation": "orgs join", "add-domain": "domains add", "add-key": "keys add", "add-node": "admin nodes add", "app-log": "logs",
	"begin-totp": "account totp enable", "build-log": "builds logs", "cancel-build": "builds cancel", "change-account": "account email",
	"change-app": "apps set", "change-app-plan": "apps plan", "change-billing": "billing alert", "change-env": "env set",
	"change-member": "members role", "change-node": "admin nodes cordon", "change-organisation": "orgs rename",
	"change-password": "account password", "change-plan": "admin plans set", "change-runtime": "admin runtimes set",
	"change-settings": "admin settings set", "change-user": "admin users set", "confirm-totp": "account totp enable",
	"create-app": "apps create", "create-organisation": "orgs create", "create-plan": "admin plans create",
	"create-runtime": "admin runtimes create", "create-session": "login", "create-token": "tokens create", "create-user": "admin users add",
	"delete-plan": "admin plans rm", "delete-runtime": "admin runtimes rm", "delete-user": "admin users rm", "deploy-app": "deploy",
	"destroy-app": "apps destroy", "destroy-organisation": "orgs destroy", "drain-node": "admin nodes drain", "end-session": "sessions rm",
	"end-totp": "account totp disable", "follow-activity": "orgs activity", "get-account": "account", "get-app": "apps info",
	"get-billing": "billing show", "get-build": "builds list", "get-capacity": "admin capacity", "get-disk": "admin disk", "explain-build": "builds why", "get-env": "env list",
	"get-invoice": "billing invoice", "get-metrics": "metrics", "get-metrics-history": "metrics", "get-node-metrics": "admin nodes metrics", "get-node": "admin nodes info", "get-organisation": "orgs info",
	"get-plan": "admin plans info", "get-runtime": "admin runtimes info", "get-sbom": "releases sbom", "get-settings": "admin settings show", "get-stats": "admin stats",
	"get-user": "admin users list", "invite": "members invite", "list-activity": "orgs activity",
	"list-all-organisations": "admin orgs list", "list-all-plans": "admin plans list", "list-all-runtimes": "admin runtimes list",
	"list-apps": "apps list", "list-builds": "builds list", "list-domains": "domains list", "list-events": "admin events",
	"list-instances": "ps", "list-invitations": "members invitations", "list-invoices": "billing invoices", "list-keys": "keys list",
	"list-ledger": "billing ledger", "list-members": "members list", "list-nodes": "admin nodes list",
	"list-notifications": "orgs notifications", "list-organisations": "orgs list", "list-plans": "plans list", "list-regions": "regions list",
	"list-releases": "releases", "list-runtimes": "runtimes list", "list-sessions": "sessions list", "list-tokens": "tokens list",
	"list-usage": "billing usage", "list-users": "admin users list", "make-password-link": "admin users password-link", "promote": "promote",
	"read-notifications": "orgs notifications", "rejoin-node": "admin nodes rejoin", "remove-domain": "domains rm", "remove-key": "keys rm",
	"remove-member": "members rm", "remove-node": "admin nodes rm", "restart-app": "restart", "revoke-token": "tokens rm",
	"rollback": "rollback", "rotate-keys": "admin keys rotate", "scale-app": "scale", "seed": "admin seed", "setup": "setup",
	"sign-up": "orgs sign-up", "start-app": "start", "stop-app": "stop", "suspend-organisation": "admin orgs suspend",
	"exec-app": "exec", "run-app": "run", "start-run": "run", "end-run": "ps stop",
	"take-backup": "admin backup", "top-up": "admin orgs credit", "use-password-link": "setup", "verify-billing": "admin billing verify",
	"get-github": "admin github show", "set-github": "admin github set", "forget-github": "admin github rm",
	"authorize-github": "github connect", "confirm-github": "github connect", "get-github-connection": "github status",
	"disconnect-github": "github disconnect", "list-github-repositories": "github repos", "list-github-branches": "github branches",
	"link-github": "github link", "get-github-link": "github info", "change-github-link": "github change", "unlink-github": "github unlink",
	"repair-github-link": "github repair", "deploy-from-github": "github deploy", "list-deliveries": "github deliveries",
	"get-delivery": "github delivery", "replay-delivery": "github replay", "list-previews": "github previews list",
	"approve-preview": "github previews approve", "close-preview": "github previews close",
	"verify-domain": "domains verify", "whoami": "whoami", "withdraw-invitation": "members uninvite",
}

// agentsOwn are what agents ask, not people.
var agentsOwn = []string{"register-node", "renew-node", "certify-node"}

// TestEveryOperationHasACommand walks the OpenAPI document.
func TestEveryOperationHasACommand(t *testing.T) {
	text, err := os.ReadFile("../../api/openapi.json")
	require.NoError(t, err)
	document := struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}{}
	require.NoError(t, json.Unmarshal(text, &document))
	root := newRoot(streams{&bytes.Buffer{}, &bytes.Buffer{}, &bytes.Buffer{}})
	known := map[string]bool{}
	for path, operations := range document.Paths {
		for _, operation := range operations {
			id := operation.OperationID
			known[id] = true
			if slices.Contains(agentsOwn, id) {
				continue
			}
			verb, ok := verbs[id]
			require.True(t, ok, "%s (%s) has no command", id, path)
			command, rest, err := root.Find(strings.Fields(verb))
			require.NoError(t, err)
			require.Empty(t, rest, "there is no command %q", verb)
			require.NotNil(t, command.RunE, "%q does nothing", verb)
		}
	}
	for id := range verbs {
		require.True(t, known[id], "there is no operation %s", id)
	}
}

// TestEveryCommandSaysWhatItDoes: help is whole, and completion knows all.
func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	root := newRoot(streams{&bytes.Buffer{}, &bytes.Buffer{}, &bytes.Buffer{}})
	var walk func(*cobra.Command)
	walk = func(command *cobra.Command) {
		require.NotEmpty(t, command.Short, command.CommandPath())
		require.False(t, strings.HasSuffix(command.Short, "."), "%s: %s", command.CommandPath(), command.Short)
		for _, child := range command.Commands() {
			walk(child)
		}
	}
	walk(root)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out := &bytes.Buffer{}
		complete := newRoot(streams{&bytes.Buffer{}, out, &bytes.Buffer{}})
		complete.SetArgs([]string{"completion", shell})
		require.NoError(t, complete.Execute())
		require.Contains(t, out.String(), "sky", shell)
	}
}
