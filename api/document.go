package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/skypanel/sky/models"
)

// documentVersion is that of the API's promise, not of the program that keeps it:
// the document is the same on every server. docs/api.md says when it changes.
const documentVersion = "1.0.0"

const documentText = `Sky's REST API. What it answers with an error is a problem (RFC 9457) that names the input at fault and the remedy.
Lists come in pages. Creates take an Idempotency-Key, changes an If-Match. Amounts of money are in millionths of the platform's currency, times in UTC.
Answers may get new fields: ignore those that you do not know.`

// tags say what each group of operations is about, in the order of a manual.
var tags = []*huma.Tag{
	{Name: "whoami", Description: "Who a token or a session belongs to"},
	{Name: "setup", Description: "The first admin's way in, by the one-time link that Sky prints at its first start"},
	{Name: "sessions", Description: "Logins with a password: a cookie for browsers"},
	{Name: "password", Description: "Passwords by one-time links"},
	{Name: "account", Description: "Your own account: password and second factor"},
	{Name: "tokens", Description: "API tokens, for programs"},
	{Name: "keys", Description: "SSH public keys, for git push"},
	{Name: "organisations", Description: "Organisations own apps and pay for them: members, invitations, activity, billing"},
	{Name: "invitations", Description: "Joining an organisation"},
	{Name: "applications", Description: "Apps: builds, releases, instances, environment, domains, logs"},
	{Name: "github", Description: "Your account at GitHub, and what it reaches there; apps are linked under applications"},
	{Name: "plans", Description: "What an instance may use, and what it costs"},
	{Name: "runtimes", Description: "Languages and their versions"},
	{Name: "regions", Description: "Where instances run"},
	{Name: "admin users", Description: "Everybody who may come in; for admins of the platform, as are all that follow"},
	{Name: "admin organisations", Description: "Every organisation: suspend it, put money into its wallet"},
	{Name: "admin plans", Description: "Plans: make, change, delete"},
	{Name: "admin runtimes", Description: "Runtimes and their images: make, change, delete"},
	{Name: "admin nodes", Description: "Machines that run instances: add, cordon, drain, remove"},
	{Name: "admin capacity", Description: "What the nodes have and what plans promise of it"},
	{Name: "admin billing", Description: "Replaying all usage against every total"},
	{Name: "admin settings", Description: "What admins decide while Sky runs"},
	{Name: "admin github", Description: "The GitHub that Sky is connected with"},
	{Name: "admin disk", Description: "What builds and data take of the disk, and what bounds it"},
	{Name: "admin seed", Description: "Default plans and runtimes"},
	{Name: "admin stats", Description: "Counts of what there is"},
	{Name: "admin events", Description: "The audit trail of the platform"},
	{Name: "admin backup", Description: "A backup of all, while Sky runs"},
	{Name: "admin keys", Description: "The master key that seals secrets: which are in use, and rotation"},
	{Name: "agents", Description: "For the agents of nodes; not for people"},
}

// describe completes the OpenAPI document when all operations are registered.
func describe(document *huma.OpenAPI) {
	document.Info.Description = documentText
	document.Tags = tags
	for _, item := range document.Paths {
		for _, described := range operationsOf(item) {
			describeErrors(described)
			for _, response := range described.Responses {
				describeHeaders(response.Headers)
			}
		}
	}
	delete(document.Components.Schemas.Map(), "Cookie") // a header's text, whatever huma makes of it
}

func operationsOf(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete}
	return slices.DeleteFunc(all, func(operation *huma.Operation) bool { return operation == nil })
}

// describeErrors names the problems that an operation has.
func describeErrors(described *huma.Operation) {
	has := func(in, name string) bool {
		return slices.ContainsFunc(described.Parameters, func(param *huma.Param) bool {
			return param.In == in && (name == "" || param.Name == name)
		})
	}
	known := len(described.Security) > 0
	var codes []string
	for _, possible := range []struct {
		code models.Code
		when bool
	}{
		{models.Unauthorized, true},
		{models.Forbidden, known},
		{models.NotFound, has("path", "")},
		{models.Conflict, described.Method != http.MethodGet},
		{models.Stale, has("header", "If-Match")},
		{models.TooLarge, described.RequestBody != nil},
		{models.Invalid, true},
		{models.TooMany, true},
		{models.Internal, true},
		{models.Unavailable, true},
	} {
		if possible.when {
			codes = append(codes, fmt.Sprintf("%s (%d)", possible.code, statuses[possible.code]))
		}
	}
	if response := described.Responses["default"]; response != nil {
		response.Description = "A problem: " + strings.Join(codes, ", ")
	}
}

func describeHeaders(headers map[string]*huma.Header) {
	if header := headers["Set-Cookie"]; header != nil {
		header.Schema = &huma.Schema{Type: huma.TypeString}
		header.Description = "The session, for browsers"
	}
	if header := headers["ETag"]; header != nil {
		header.Description = "The revision of what is shown; send it as If-Match with a change"
	}
}
