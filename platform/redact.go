package platform

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	// leastSecret is the length from which a value is taken for a secret, and
	// leastFlagged that of a variable that builds may read.
	leastSecret  = 8
	leastFlagged = 4
)

// plainWord matches values that say nothing secret, such as "production" or
// "3000": hiding them would make logs hard to read.
var plainWord = regexp.MustCompile(`^([a-z]+|[0-9.]+)$`)

// redactor replaces the values of an App's Config in text by their names: as
// they are, in base64, and as a URL has them.
type redactor struct{ replacer *strings.Replacer }

// newRedactor hides the values of config that look secret, and those of the
// flagged variables unless they are very short. A value of several lines is
// hidden line by line, as logs are.
func newRedactor(config map[string]string, flagged []string) *redactor {
	type hidden struct{ text, name string }
	var all []hidden
	for key, value := range config {
		isFlagged := slices.Contains(flagged, key)
		for _, text := range append(strings.Split(value, "\n"), encodings(value)...) {
			text = strings.TrimSpace(text)
			if (isFlagged && len(text) >= leastFlagged) || (len(text) >= leastSecret && !plainWord.MatchString(text)) {
				all = append(all, hidden{text, "[" + key + "]"})
			}
		}
	}
	// A secret that is part of another one must not leave the rest of that readable.
	slices.SortFunc(all, func(a, b hidden) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.text, b.text), cmp.Compare(a.name, b.name))
	})
	var pairs []string
	for _, entry := range all {
		pairs = append(pairs, entry.text, entry.name)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

// encodings are the forms in which programs print a value beside its own.
func encodings(value string) []string {
	forms := []string{url.QueryEscape(value), url.PathEscape(value)}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(value)), encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(value)))
	}
	return forms
}

// Clean returns text without the values.
func (r *redactor) Clean(text string) string {
	if r == nil {
		return text
	}
	return r.replacer.Replace(text)
}
