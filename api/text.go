package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/models"
)

// Text that comes in is UTF-8 without NUL: what else there is, one database keeps
// and another refuses.

// plainText refuses other text wherever a request has some.
func (s *server) plainText(routes huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		c := humagin.Unwrap(ctx)
		err := checkParameters(c, ctx.Operation())
		if err == nil && ctx.Operation().RequestBody != nil {
			err = checkBody(ctx, c)
		}
		if err != nil {
			s.refuse(routes, ctx, err)
			return
		}
		next(ctx)
	}
}

func notText(field string) error {
	return models.Errorf(models.Invalid, "%s holds what is no text", field).WithField(field).
		WithRemedy("send UTF-8 without NUL characters")
}

// checkParameters refuses parameters that the operation reads and that are no
// text.
func checkParameters(c *gin.Context, operation *huma.Operation) error {
	query := c.Request.URL.Query()
	for _, param := range operation.Parameters {
		given := map[string][]string{
			"path": {c.Param(param.Name)}, "query": query[param.Name], "header": c.Request.Header.Values(param.Name),
		}
		if !isText(strings.Join(given[param.In], "")) {
			return notText(param.In + "." + param.Name)
		}
	}
	return nil
}

func isText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// checkBody refuses a JSON body with a NUL character in it. Go's decoder itself
// replaces what is no UTF-8.
func checkBody(ctx huma.Context, c *gin.Context) error {
	body, err := readBody(ctx, c)
	if err != nil || !bytes.Contains(body, []byte(`\u0000`)) {
		return err
	}
	var parsed any
	if json.Unmarshal(body, &parsed) != nil {
		return nil // huma says what is wrong with it
	}
	if field, found := withNUL("body", parsed); found {
		return notText(strings.TrimPrefix(field, "body."))
	}
	return nil
}

// withNUL names the part of a decoded body that holds a NUL character.
func withNUL(at string, value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return at, strings.ContainsRune(value, 0)
	case []any:
		for i, item := range value {
			if field, found := withNUL(fmt.Sprintf("%s[%d]", at, i), item); found {
				return field, true
			}
		}
	case map[string]any:
		for name, item := range value {
			if strings.ContainsRune(name, 0) {
				return at, true
			}
			if field, found := withNUL(at+"."+name, item); found {
				return field, true
			}
		}
	}
	return "", false
}
