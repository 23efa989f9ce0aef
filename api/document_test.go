package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// object is a part of a JSON document.
type object = map[string]any

// route is one operation of the OpenAPI document.
type route struct {
	id, method, path string
	action           models.Action
	operation        object
	document         object
}

// routes lists every operation that needs somebody, in a steady order.
func (s *site) routes(t *testing.T) []route {
	t.Helper()
	document := object{}
	got := s.ask(t, "", http.MethodGet, "/api/openapi.json", "")
	require.NoError(t, json.Unmarshal([]byte(got.text), &document))
	var routes []route
	for path, methods := range document["paths"].(object) {
		for method, described := range methods.(object) {
			operation := described.(object)
			action, _ := operation["x-sky-action"].(string)
			if action == "" {
				continue
			}
			routes = append(routes, route{
				id: operation["operationId"].(string), method: strings.ToUpper(method), path: path, action: models.Action(action),
				operation: operation, document: document,
			})
		}
	}
	slices.SortFunc(routes, func(a, b route) int { return strings.Compare(a.id, b.id) })
	require.Greater(t, len(routes), 70)
	return routes
}

// resolve follows a schema's reference.
func (r route) resolve(schema object) object {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	part := any(r.document)
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		part = part.(object)[name]
	}
	return r.resolve(part.(object))
}

// bodySchema returns the schema of the JSON body, or nil when there is none.
func (r route) bodySchema() object {
	body, ok := r.operation["requestBody"].(object)
	if !ok {
		return nil
	}
	content, ok := body["content"].(object)["application/json"].(object)
	if !ok {
		return nil
	}
	return r.resolve(content["schema"].(object))
}

// sample makes the smallest value that a schema allows.
func (r route) sample(schema object) any {
	schema = r.resolve(schema)
	if values, ok := schema["enum"].([]any); ok {
		return values[len(values)-1] // of roles, the least
	}
	kind := schema["type"]
	if several, ok := kind.([]any); ok {
		kind = several[0]
	}
	switch kind {
	case "object":
		made := object{}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			made[name.(string)] = r.sample(schema["properties"].(object)[name.(string)].(object))
		}
		if least, _ := schema["minProperties"].(float64); least > 0 {
			made["web"] = r.sample(schema["additionalProperties"].(object))
		}
		return made
	case "array":
		if least, _ := schema["minItems"].(float64); least > 0 {
			return []any{r.sample(schema["items"].(object))}
		}
		return []any{}
	case "integer", "number":
		if least, ok := schema["minimum"]; ok {
			return least
		}
		return 1
	case "boolean":
		return false
	default:
		if examples, ok := schema["examples"].([]any); ok && len(examples) > 0 {
			return examples[0]
		}
		return "sample"
	}
}

// body makes the smallest body that the operation accepts.
func (r route) body(t *testing.T) string {
	t.Helper()
	schema := r.bodySchema()
	if schema == nil {
		return ""
	}
	text, err := json.Marshal(r.sample(schema))
	require.NoError(t, err)
	return string(text)
}

// streams reports whether the operation answers with events without end.
func (r route) streams() bool {
	answer, ok := r.operation["responses"].(object)["200"].(object)
	return ok && answer["content"] != nil && answer["content"].(object)["text/event-stream"] != nil
}

// fill puts values into the path.
func (r route) fill(values map[string]string) string {
	path := r.path
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}
