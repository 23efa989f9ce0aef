package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireFits compares an answer with what the document says of it.
func requireFits(t *testing.T, r route, got answer, told string) {
	t.Helper()
	response, ok := r.operation["responses"].(object)[strconv.Itoa(got.StatusCode)].(object)
	require.True(t, ok, "the document does not know this status: %s", told)
	media, ok := response["content"].(object)["application/json"].(object)
	require.True(t, ok, "the document promises no JSON: %s", told)
	var value any
	require.NoError(t, json.Unmarshal([]byte(got.text), &value), told)
	require.Empty(t, r.misfit(media["schema"].(object), value, "answer"), told)
}

// misfit says what of a value is not as the schema says.
func (r route) misfit(schema object, value any, at string) string {
	schema = r.resolve(schema)
	if allowed, ok := schema["enum"].([]any); ok && !slices.Contains(allowed, value) {
		return fmt.Sprintf("%s is %v, which is none of %v", at, value, allowed)
	}
	ok := true
	switch schema["type"] {
	case "object":
		fields, is := value.(object)
		if !is {
			return at + " is no object"
		}
		return r.misfitFields(schema, fields, at)
	case "array":
		items, is := value.([]any)
		if !is {
			return at + " is no array"
		}
		for i, item := range items {
			if wrong := r.misfit(schema["items"].(object), item, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	case "string":
		_, ok = value.(string)
	case "integer", "number":
		_, ok = value.(float64)
	case "boolean":
		_, ok = value.(bool)
	}
	if !ok {
		return fmt.Sprintf("%s is %v, not a %v", at, value, schema["type"])
	}
	return ""
}

func (r route) misfitFields(schema, fields object, at string) string {
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, there := fields[name.(string)]; !there {
			return fmt.Sprintf("%s lacks %s", at, name)
		}
	}
	properties, _ := schema["properties"].(object)
	for name, value := range fields {
		described, known := properties[name].(object)
		if !known {
			if described, known = schema["additionalProperties"].(object); !known {
				return fmt.Sprintf("%s has %s, which the document does not know", at, name)
			}
		}
		if wrong := r.misfit(described, value, at+"."+name); wrong != "" {
			return wrong
		}
	}
	return ""
}
