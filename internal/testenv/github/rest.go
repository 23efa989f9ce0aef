package github

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// object is JSON as GitHub writes it.
type object map[string]any

func (o object) add(more object) { maps.Copy(o, more) }

// call is one REST request, with who asks and of which repository.
type call struct {
	*http.Request
	token *token
	app   *app
	repo  *repository
	body  []byte
}

// read decodes the request's body into v.
func (c *call) read(v any) *answer {
	if err := json.Unmarshal(c.body, v); err != nil {
		refused := fail(http.StatusBadRequest, "Problems parsing JSON")
		return &refused
	}
	return nil
}

// number is a path's numeric part, 0 when it is none.
func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.PathValue(name), 10, 64)
	return n
}

// answer is what a REST request gets.
type answer struct {
	status int
	body   any // nil is none
	header http.Header
}

func ok(body any) answer      { return answer{status: http.StatusOK, body: body} }
func created(body any) answer { return answer{status: http.StatusCreated, body: body} }
func gone() answer            { return answer{status: http.StatusNoContent} }

func fail(status int, message string) answer {
	return answer{status: status, body: object{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	}}
}

func notFound() answer { return fail(http.StatusNotFound, "Not Found") }

// invalid is the refusal of one field.
func invalid(resource, field, code, message string) answer {
	problem := object{"resource": resource, "code": code}
	if field != "" {
		problem["field"] = field
	}
	if message != "" {
		problem["message"] = message
	}
	refused := fail(http.StatusUnprocessableEntity, "Validation Failed")
	refused.body.(object)["errors"] = []object{problem}
	return refused
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is no fault of ours
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	if text, plainly := a.body.(plain); plainly {
		w.Header().Set("Content-Type", "application/vnd.github.v3.sha; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(text)) // as below
		return
	}
	writeJSON(w, a.status, a.body)
}

// page cuts the part that the request asks for out of all, and links to the
// others; wrap makes the body of it.
func (c *call) page(all []object, wrap func([]object) any) answer {
	size, number := c.positive("per_page", 30), c.positive("page", 1)
	size = min(size, 100)
	last := max(1, (len(all)+size-1)/size)
	from := min((number-1)*size, len(all))
	part := append([]object{}, all[from:min(from+size, len(all))]...)
	result := ok(wrap(part))
	if links := c.links(number, last); links != "" {
		result.header = http.Header{"Link": {links}}
	}
	return result
}

func (c *call) positive(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func (c *call) links(number, last int) string {
	var links []string
	add := func(rel string, page int) {
		query := c.URL.Query()
		query.Set("page", strconv.Itoa(page))
		to := url.URL{Scheme: scheme(c.Request), Host: c.Host, Path: c.URL.Path, RawQuery: query.Encode()}
		links = append(links, fmt.Sprintf("<%s>; rel=%q", &to, rel))
	}
	if number > 1 {
		add("prev", min(number-1, last))
	}
	if number < last {
		add("next", number+1)
		add("last", last)
	}
	if number > 1 {
		add("first", 1)
	}
	return strings.Join(links, ", ")
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// list pages through a plain array.
func (c *call) list(all []object) answer {
	return c.page(all, func(part []object) any { return part })
}

// counted pages through an array that stands under a key beside its length.
func (c *call) counted(key string, all []object) answer {
	return c.page(all, func(part []object) any { return object{"total_count": len(all), key: part} })
}

// plain is a body that is no JSON.
type plain string
