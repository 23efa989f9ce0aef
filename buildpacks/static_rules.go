package buildpacks

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/skypanel/sky/models"
)

// redirect is one line of a _redirects file, as Netlify and Cloudflare Pages
// describe them. What both leave open follows Netlify: a rule does not hide a
// file unless it is forced, and the status is 301 where none is given.
type redirect struct {
	pattern string // a regular expression over the decoded path
	to      string // with $1, $2 … for what pattern captured
	status  int
	force   bool
}

var (
	redirectStatus = regexp.MustCompile(`^\d{3}!?$`)
	placeholder    = regexp.MustCompile(`:[A-Za-z]\w*`)
	statuses       = []int{200, 301, 302, 303, 307, 308, 404}
)

// parseRedirects reads the text of a _redirects file. What Sky cannot do is
// refused, with the number of its line.
func parseRedirects(name, text string) ([]redirect, error) {
	var rules []redirect
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(withoutComment(line))
		if len(words) == 0 {
			continue
		}
		rule, err := parseRedirect(words)
		if err != nil {
			return nil, ruleError(name, number, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func ruleError(name string, line int, err error) error {
	return models.Errorf(models.Failed, "%s line %d: %w", name, line, err).WithField(name).
		WithRemedy("docs/builds.md shows what a line may say")
}

// withoutComment cuts a comment, which begins a line or follows a blank: a "#"
// inside a word is the fragment of a URL.
func withoutComment(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return ""
	}
	before, _, _ := strings.Cut(line, " #")
	return before
}

func parseRedirect(words []string) (redirect, error) {
	rule := redirect{status: 301}
	from := words[0]
	switch {
	case !strings.HasPrefix(from, "/"):
		return rule, fmt.Errorf("%q is no path: the source begins with a slash", from)
	case len(words) < 2:
		return rule, fmt.Errorf("%s has no target", from)
	case !strings.HasPrefix(words[1], "/") && !strings.Contains(words[1], "://"):
		return rule, fmt.Errorf("%q is no target: it begins with a slash or a scheme, and rules on query parameters are not supported", words[1])
	}
	rest := words[2:]
	if len(rest) > 0 && redirectStatus.MatchString(rest[0]) {
		rule.force = strings.HasSuffix(rest[0], "!")
		rule.status, _ = strconv.Atoi(strings.TrimSuffix(rest[0], "!"))
		rest = rest[1:]
	}
	switch {
	case len(rest) > 0:
		return rule, fmt.Errorf("%q is not supported: no rule depends on country, language, role or cookie here", rest[0])
	case !slices.Contains(statuses, rule.status):
		return rule, fmt.Errorf("status %d is none of 200, 301, 302, 303, 307, 308, 404", rule.status)
	case rule.internal() && !strings.HasPrefix(words[1], "/"):
		return rule, fmt.Errorf("%s is another server, and nothing is proxied; use a redirect", words[1])
	}
	return rule, rule.compile(from, words[1])
}

// internal reports whether the target is a file of the site.
func (r *redirect) internal() bool { return r.status == 200 || r.status == 404 }

// compile turns a source with :names and a final * into a regular expression,
// and the target's names into the numbers of its groups.
func (r *redirect) compile(from, to string) error {
	names, pattern, err := pathPattern(from)
	if err != nil {
		return err
	}
	if len(names) > 9 {
		return fmt.Errorf("%s has more than nine placeholders", from)
	}
	if strings.TrimSuffix(from, "/") == strings.TrimSuffix(to, "/") { // it adds or removes the last slash
		pattern = "^" + regexp.QuoteMeta(from) + "$"
	}
	if r.internal() {
		to, _, _ = strings.Cut(to, "?")
		if to, err = url.PathUnescape(to); err != nil {
			return fmt.Errorf("%s is not percent-encoded rightly", to)
		}
	}
	to = strings.ReplaceAll(to, "$", "${sky_dollar}")
	r.pattern = pattern
	r.to = placeholder.ReplaceAllStringFunc(to, func(name string) string {
		if at := slices.Index(names, name[1:]); at >= 0 {
			return "$" + strconv.Itoa(at+1)
		}
		return name // such as the port of a URL
	})
	if strings.Contains(r.to, "#") && !strings.Contains(r.to, "?") {
		r.to += "?" // nginx then adds no query behind the fragment
	}
	return nil
}

// pathPattern turns a path with :names and a final * into a regular expression
// over decoded paths, and names its groups. A last slash makes no difference.
func pathPattern(from string) (names []string, pattern string, err error) {
	from, err = url.PathUnescape(from)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not percent-encoded rightly", from)
	}
	from, splat := strings.CutSuffix(from, "*")
	if strings.Contains(from, "*") {
		return nil, "", fmt.Errorf("%s*: an asterisk stands at the end of a path only", from)
	}
	whole, slash := strings.CutSuffix(from, "/")
	at := 0
	for _, span := range placeholder.FindAllStringIndex(whole, -1) {
		pattern += regexp.QuoteMeta(whole[at:span[0]]) + "([^/]+)"
		names = append(names, whole[span[0]+1:span[1]])
		at = span[1]
	}
	pattern += regexp.QuoteMeta(whole[at:])
	switch {
	case splat && slash:
		pattern += "(?:/(.*))?"
	case splat:
		pattern += "(.*)"
	default:
		pattern += "/?"
	}
	if splat {
		names = append(names, "splat")
	}
	return names, "^" + pattern + "$", nil
}

// headerRule is a header that answers to some paths get.
type headerRule struct {
	pattern string
	name    string
	value   string
	// detach takes the header away that a rule before gave.
	detach bool
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// ownHeaders are what the server alone can say.
var ownHeaders = []string{
	"connection", "content-encoding", "content-length", "content-range", "date", "server", "trailer",
	"transfer-encoding", "upgrade", "basic-auth",
}

// parseHeaders reads the text of a _headers file, as Netlify and Cloudflare
// Pages describe it: a path, then its headers, one a line.
func parseHeaders(name, text string) ([]headerRule, error) {
	var rules []headerRule
	pattern, number := "", 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var err error
		if line[0] == '/' {
			if _, pattern, err = pathPattern(line); err != nil {
				return nil, ruleError(name, number, err)
			}
			continue
		}
		rule, err := parseHeader(pattern, line)
		if err != nil {
			return nil, ruleError(name, number, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseHeader(pattern, line string) (headerRule, error) {
	detached, detach := strings.CutPrefix(line, "!")
	header, value, found := strings.Cut(line, ":")
	if detach {
		header, value = detached, ""
	}
	header, value = strings.TrimSpace(header), strings.TrimSpace(value)
	switch {
	case strings.Contains(line, "://") && (!found || strings.HasPrefix(header, "http")):
		return headerRule{}, fmt.Errorf("%q is a whole URL: rules are for paths here", line)
	case !found && !detach:
		return headerRule{}, fmt.Errorf("there is no colon in %q", line)
	case pattern == "":
		return headerRule{}, fmt.Errorf("%s stands before any path", header)
	case !headerName.MatchString(header):
		return headerRule{}, fmt.Errorf("%q cannot name a header", header)
	case slices.Contains(ownHeaders, strings.ToLower(header)):
		return headerRule{}, fmt.Errorf("%s cannot be set here", header)
	}
	return headerRule{pattern: pattern, name: header, value: value, detach: detach}, nil
}
