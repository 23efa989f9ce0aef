package github

import (
	"encoding/json"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

func TestAnswersAreAsPublished(t *testing.T) {
	description := Description(t)
	var document openapi3.T
	require.NoError(t, json.Unmarshal(description, &document))
	require.NoError(t, openapi3.NewLoader().ResolveRefsIn(&document, nil))
}
