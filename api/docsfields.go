package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsFields are rows of one table of the page.
type docsFields struct {
	Title  string
	Rows   []docsField
	answer bool // what is not required in one may be absent
}

type docsField struct{ Name, Type, Text string }

// noted is a type with what a reader must know of the field.
func (f *docsFields) noted(kind string, required bool) string {
	switch {
	case required && !f.answer:
		return kind + ", required"
	case !required && f.answer:
		return kind + ", may be absent"
	default:
		return kind
	}
}

// docsDepth bounds how deep fields of fields are listed.
const docsDepth = 3

// add lists the fields of a schema, those of lists and of other schemas with the
// way that leads to them.
func (f *docsFields) add(schemas huma.Registry, prefix string, schema *huma.Schema, depth int) {
	schema = resolved(schemas, schema)
	if schema == nil || depth > docsDepth {
		return
	}
	if schema.Items != nil {
		f.add(schemas, prefix+"[]", schema.Items, depth)
		return
	}
	for _, one := range schema.OneOf {
		f.add(schemas, prefix, one, depth)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		field := schema.Properties[name]
		at := strings.TrimPrefix(prefix+"."+name, ".")
		f.Rows = append(f.Rows, docsField{
			Name: at, Type: f.noted(typeOf(schemas, field), slices.Contains(schema.Required, name)), Text: textOf(field),
		})
		f.add(schemas, at, field, depth+1)
	}
}

func resolved(schemas huma.Registry, schema *huma.Schema) *huma.Schema {
	for schema != nil && schema.Ref != "" {
		schema = schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

func typeOf(schemas huma.Registry, schema *huma.Schema) string {
	if schema == nil {
		return ""
	}
	if _, name, ok := strings.Cut(schema.Ref, "#/components/schemas/"); ok {
		return name
	}
	kind := schema.Type
	switch {
	case schema.Items != nil:
		kind = "list of " + typeOf(schemas, schema.Items)
	case schema.Format == "date-time":
		kind = "time"
	}
	if more, ok := schema.AdditionalProperties.(*huma.Schema); ok {
		kind = "map of " + typeOf(schemas, more)
	}
	if len(schema.Enum) > 0 {
		words := make([]string, len(schema.Enum))
		for i, value := range schema.Enum {
			words[i] = fmt.Sprint(value)
		}
		kind = strings.Join(words, " | ")
	}
	return kind
}

func textOf(schema *huma.Schema) string {
	text := schema.Description
	if len(schema.Examples) > 0 {
		example, _ := json.Marshal(schema.Examples[0])
		text = strings.TrimPrefix(text+". Such as "+string(example), ". ")
	}
	return text
}

func bodyOf(described *huma.Operation) *huma.Schema {
	if described.RequestBody == nil || described.RequestBody.Content["application/json"] == nil {
		return nil
	}
	return described.RequestBody.Content["application/json"].Schema
}

// pathExamples are what paths name in the examples.
var pathExamples = map[string]string{
	"app": "shop", "organisation": "acme", "number": "1", "name": "me@laptop", "user": "ann", "month": "2026-11", "host": "shop.example.com",
	"plan": "basic", "runtime": "node:22", "node": "worker-1", "session": "current", "token": "ci",
}

// curlOf is a request that a shell can send as it stands.
func curlOf(schemas huma.Registry, path string, described *huma.Operation) string {
	for _, param := range described.Parameters {
		if param.In == "path" {
			example := pathExamples[param.Name]
			if example == "" {
				example = strings.ToUpper(param.Name)
			}
			path = strings.ReplaceAll(path, "{"+param.Name+"}", url.PathEscape(example))
		}
	}
	if strings.HasPrefix(described.OperationID, "destroy-") {
		path += "?confirm=" + path[strings.LastIndex(path, "/")+1:]
	}
	words := []string{"curl"}
	if response := described.Responses["200"]; response != nil && response.Content["text/event-stream"] != nil {
		words = append(words, "-N")
	}
	if described.Method != http.MethodGet {
		words = append(words, "-X", described.Method)
	}
	lines := []string{strings.Join(append(words, `"$SKY_URL`+path+`"`), " ")}
	if len(described.Security) > 0 {
		lines = append(lines, `-H "Authorization: Bearer $SKY_TOKEN"`)
	}
	if schema := bodyOf(described); schema != nil {
		body, _ := json.Marshal(exampleOf(schemas, schema))
		lines = append(lines, "--json '"+strings.ReplaceAll(string(body), "'", `'\''`)+"'")
	}
	return strings.Join(lines, " \\\n  ")
}

// exampleOf makes a value that the schema allows: what it requires, and what it
// has an example of.
func exampleOf(schemas huma.Registry, schema *huma.Schema) any {
	schema = resolved(schemas, schema)
	switch {
	case len(schema.Examples) > 0:
		return schema.Examples[0]
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Items != nil:
		return []any{exampleOf(schemas, schema.Items)}
	}
	switch schema.Type {
	case huma.TypeObject:
		return exampleObject(schemas, schema)
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeBoolean:
		return true
	default:
		return "…"
	}
}

func exampleObject(schemas huma.Registry, schema *huma.Schema) any {
	made := map[string]any{}
	for name, field := range schema.Properties {
		if slices.Contains(schema.Required, name) || len(field.Examples) > 0 {
			made[name] = exampleOf(schemas, field)
		}
	}
	if more, ok := schema.AdditionalProperties.(*huma.Schema); ok && len(made) == 0 {
		made["web"] = exampleOf(schemas, more)
	}
	if names := slices.Sorted(maps.Keys(schema.Properties)); len(made) == 0 && len(names) > 0 {
		made[names[0]] = exampleOf(schemas, schema.Properties[names[0]])
	}
	return made
}
