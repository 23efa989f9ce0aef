package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// hostileTexts are what no field expects.
var hostileTexts = []string{
	"", " ", "\x00", "a\x00b", "a;touch /tmp/sky-pwned", "$(id)", "`id`", "|id", "-rf", "--upload-pack=id", "../../etc/passwd", "..", ".", "/", "a/b",
	"%2f", "%00", "{{7*7}}", "'; DROP TABLE paas_users; --", `" OR ""="`, `\`, "<script>alert(1)</script>", "\u202egnp.exe", "ﬀ", "İ", "😀", "\ufeff", "\xff\xfe",
	"xn--", "a\r\nX-Injected: 1", "\x1b]8;;javascript:1", "NaN", "null", "true", "0", "-1", "1e999", "9223372036854775808", "0x10", "2026-13-45", "v99999999999999999999",
	"@", "*", "127.0.0.1", "[::1]", "http://127.0.0.1/", "ext::sh -c id", "2026-99", "0000-00", "eyJzIjoibmFtZSJ9", strings.Repeat("a", 41), strings.Repeat("é", 300),
}

// hostileValues are of the wrong type for most fields, or too much of the right one.
var hostileValues = []any{
	nil, true, 0, -1, 1.5, json.Number("1e400"), json.Number("99999999999999999999999999"), json.Number("-9223372036854775809"), int64(1) << 62, -(int64(1) << 62),
	[]any{}, object{}, []any{nil}, []any{[]any{[]any{}}}, object{"": ""}, object{"a\x00": 1}, object{"web": -1}, object{"web": 1e18}, object{"../x": "y"}, object{strings.Repeat("A", 100_000): "y"}, []any{strings.Repeat("A", 100_000)}, []any{"admin", "admin"},
}

// hostilePaths are escaped as nobody should.
var hostilePaths = []string{"%2f", "..%2f..%2fadmin", "%2e%2e", "%00", "a%00b", "%ff%fe", "a%0d%0ab", "%20", "a;b", "a%3Fb", "%25252f", "%F0%9F%98%80", "~root", "a%5Cb"}

// generator makes requests for one operation; the same seed, the same requests.
type generator struct {
	random *rand.Rand
	values map[string]string // what path parameters are about
	secret string            // the value of every field that holds a secret
}

// attempt is one request.
type attempt struct {
	method, path, body string
	headers            map[string]string
	what               string
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// attempts are requests for a route: two good ones, then ones with a flaw.
func (g *generator) attempts(r route, count int) []attempt {
	made := []attempt{g.good(r, false), g.good(r, true)}
	flaws := []func(route, *attempt){g.spoilPath, g.spoilQuery, g.spoilHeaders}
	if r.bodySchema() != nil {
		flaws = append(flaws, g.spoilField, g.spoilField, g.spoilField, g.spoilText, g.spoilText)
	}
	for range count {
		flawed := g.good(r, g.random.IntN(2) == 0)
		for range 1 + g.random.IntN(2) {
			pick(g.random, flaws)(r, &flawed)
		}
		made = append(made, flawed)
	}
	return made
}

// good is a request that the document allows, with what is required, or with all.
func (g *generator) good(r route, whole bool) attempt {
	path := r.path
	for name, value := range g.values {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	made := attempt{method: r.method, path: path, headers: map[string]string{}, what: "good"}
	if whole {
		query := url.Values{}
		for _, param := range r.parameters("query") {
			if name := param["name"].(string); name != "confirm" && name != "cursor" && name != "sort" {
				query.Set(name, fmt.Sprint(r.sample(param["schema"].(object))))
			}
		}
		made.path += "?" + query.Encode()
	}
	if schema := r.bodySchema(); schema != nil {
		text, _ := json.Marshal(g.fill(r, schema, whole))
		made.body = string(text)
		made.headers["Content-Type"] = "application/json"
	}
	return made
}

// fill makes a value that the schema allows; secrets are the canary.
func (g *generator) fill(r route, schema object, whole bool) any {
	sample := r.sample(schema)
	made, ok := sample.(object)
	if !ok {
		return sample
	}
	properties, _ := r.resolve(schema)["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if whole {
			made[name] = r.sample(properties[name].(object))
		}
		if _, there := made[name]; there && slices.Contains([]string{"password", "current", "new", "code"}, name) {
			made[name] = g.secret
		}
	}
	if _, there := properties["set"]; there {
		made["set"] = object{"CANARY": g.secret}
	}
	if value, there := g.values["organisation"]; there && made["organisation"] != nil {
		made["organisation"] = value
	}
	return made
}

func (g *generator) text() string {
	if g.random.IntN(40) == 0 {
		return strings.Repeat(pick(g.random, []string{"a", "%", "é"}), 1<<20)
	}
	return pick(g.random, hostileTexts)
}

func (g *generator) spoilPath(r route, a *attempt) {
	params := r.parameters("path")
	if len(params) == 0 {
		return
	}
	name := pick(g.random, params)["name"].(string)
	value := pick(g.random, hostilePaths)
	if g.random.IntN(2) == 0 {
		value = url.PathEscape(pick(g.random, hostileTexts))
	}
	_, query, _ := strings.Cut(a.path, "?")
	a.path = strings.ReplaceAll(r.path, "{"+name+"}", value)
	for other, good := range g.values {
		a.path = strings.ReplaceAll(a.path, "{"+other+"}", url.PathEscape(good))
	}
	a.path, a.what = a.path+"?"+query, "path "+name
}

func (g *generator) spoilQuery(r route, a *attempt) {
	name := pick(g.random, []string{"limit", "cursor", "sort", "", "x[]", "confirm", "reveal"})
	if params := r.parameters("query"); len(params) > 0 && g.random.IntN(4) > 0 {
		name = pick(g.random, params)["name"].(string)
	}
	text := pick(g.random, hostileTexts)
	if len(text) > 2000 {
		text = text[:2000]
	}
	base, _, _ := strings.Cut(a.path, "?")
	a.path, a.what = base+"?"+url.QueryEscape(name)+"="+url.QueryEscape(text), "query "+name
	if g.random.IntN(4) == 0 {
		a.path += "&" + url.QueryEscape(name) + "=2&%zz&;=&"
	}
}

func (g *generator) spoilHeaders(_ route, a *attempt) {
	name := pick(g.random, []string{"If-Match", "Idempotency-Key", "Last-Event-ID", "Content-Type", "Accept", "Cookie", "X-Forwarded-For", "X-Huge"})
	value := strings.Map(func(char rune) rune { // what a client can send at all
		if char < ' ' || char == 0x7f {
			return '?'
		}
		return char
	}, pick(g.random, hostileTexts))
	switch name {
	case "Content-Type", "Accept":
		value = pick(g.random, []string{
			"text/plain", "application/xml", "application/cbor", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "*", "/", "application/merge-patch+json",
		})
	case "X-Huge":
		value = strings.Repeat("x", pick(g.random, []int{8 << 10, 100 << 10}))
	}
	a.headers[name], a.what = value, "header "+name
}

// spoilField changes, removes or adds one field of the body.
func (g *generator) spoilField(r route, a *attempt) {
	fields, ok := g.fill(r, r.bodySchema(), true).(object)
	if !ok || len(fields) == 0 {
		return
	}
	name := pick(g.random, slices.Sorted(maps.Keys(fields)))
	switch g.random.IntN(8) {
	case 0:
		delete(fields, name)
	case 1:
		fields["unknown\x00field"] = g.secret
	case 2, 3, 4:
		fields[name] = g.text()
	case 5:
		many := object{}
		for i := range 10_000 {
			many[fmt.Sprintf("VARIABLE_%d", i)] = g.secret
		}
		fields[name] = many
	default:
		fields[name] = pick(g.random, hostileValues)
	}
	text, _ := json.Marshal(fields)
	a.body, a.what = string(text), "field "+name
}

// spoilText sends what is hardly JSON.
func (g *generator) spoilText(_ route, a *attempt) {
	name := pick(g.random, []string{"name", "set", "organisation", "password"})
	a.body = pick(g.random, []string{
		"", "null", "[]", `"text"`, "1", "{", `{"a":`, a.body + a.body, "\ufeff" + a.body, "\xff\xfe{}", "{}\x00",
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), `{"` + name + `":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + "}",
		`{"` + name + `":"a","` + name + `":"b","` + strings.ToUpper(name) + `":1}`, `{"__proto__":{"admin":true},"admin":true}`,
		strings.Repeat(" ", 5<<20) + "{}", `{"` + name + `":"\ud800"}`, models.NewID().String(),
	})
	a.what = "body"
}
