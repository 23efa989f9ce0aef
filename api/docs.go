package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/models"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// docsPage is the OpenAPI document for people to read. It needs no script and
// nothing from elsewhere.
type docsPage struct {
	Title, Version, URL string
	Text                []string
	Groups              []docsGroup
	Style               template.CSS
}

type docsGroup struct {
	Name, Anchor, Text string
	Operations         []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Text string
	Who, Scope, Errors, Curl        string
	Parameters, Body, Answer        docsFields
}

// docs serves the page at /api/docs. It is made once: the document does not
// change while Sky runs.
func (s *server) docs(engine *gin.Engine, document *huma.OpenAPI) {
	var page bytes.Buffer
	err := template.Must(template.New("docs").Parse(docsHTML)).Execute(&page, s.docsOf(document))
	if err != nil {
		s.Log.Error("the page of the API's documentation", "error", err)
		return
	}
	sum := sha256.Sum256([]byte(docsCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	engine.GET("/api/docs", func(c *gin.Context) {
		c.Header("Content-Security-Policy", policy)
		c.Header("X-Content-Type-Options", "nosniff")
		c.Header("Referrer-Policy", "no-referrer")
		c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
	})
}

func (s *server) docsOf(document *huma.OpenAPI) docsPage {
	page := docsPage{
		Title: document.Info.Title, Version: s.Version, URL: s.Platform.Settings.PublicURL,
		Text: strings.Split(document.Info.Description, "\n"), Style: template.CSS(docsCSS), //nolint:gosec // it is ours
	}
	if page.URL == "" {
		page.URL = "http://127.0.0.1:8080"
	}
	groups := map[string][]docsOperation{}
	for path, item := range document.Paths {
		for _, described := range operationsOf(item) {
			name := described.Tags[0]
			groups[name] = append(groups[name], docsOperationOf(document, path, described))
		}
	}
	for _, tag := range document.Tags {
		operations := groups[tag.Name]
		slices.SortFunc(operations, func(a, b docsOperation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
		page.Groups = append(page.Groups, docsGroup{
			Name: tag.Name, Anchor: "tag-" + strings.ReplaceAll(tag.Name, " ", "-"), Text: tag.Description, Operations: operations,
		})
	}
	return page
}

func docsOperationOf(document *huma.OpenAPI, path string, described *huma.Operation) docsOperation {
	schemas := document.Components.Schemas
	made := docsOperation{
		ID: described.OperationID, Method: described.Method, Path: path, Summary: described.Summary, Text: described.Description,
		Parameters: docsFields{Title: "Parameters"}, Curl: curlOf(schemas, path, described),
	}
	action, _ := described.Extensions[actionExtension].(string)
	made.Who = whoMay(models.Action(action))
	made.Scope, _ = described.Extensions[scopeExtension].(string)
	for _, param := range described.Parameters {
		made.Parameters.Rows = append(made.Parameters.Rows, docsField{
			Name: param.Name, Text: param.Description,
			Type: made.Parameters.noted(param.In+", "+typeOf(schemas, param.Schema), param.Required),
		})
	}
	if len(made.Parameters.Rows) == 0 {
		made.Parameters.Title = ""
	}
	if schema := bodyOf(described); schema != nil {
		made.Body = docsFields{Title: "Body"}
		made.Body.add(schemas, "", schema, 0)
	}
	for status, response := range described.Responses {
		if status == "default" {
			made.Errors = response.Description
			continue
		}
		made.Answer.answer = true
		made.Answer.Title = fmt.Sprintf("Answer: %s %s", status, response.Description)
		for kind, media := range response.Content {
			made.Answer.Title += ", " + kind
			made.Answer.add(schemas, "", media.Schema, 0)
		}
	}
	return made
}

// whoMay says who may do an action, as docs/roles.md does.
func whoMay(action models.Action) string {
	switch {
	case action == "":
		return "whoever has what it asks for"
	case action == models.PlatformManage:
		return "admins of the platform"
	case strings.HasPrefix(string(action), "account:"):
		return "everybody"
	}
	var roles []string
	for _, role := range models.Roles() {
		if role.May(action) {
			roles = append(roles, string(role))
		}
	}
	return strings.Join(roles, ", ") + " of the organisation"
}
