package gitserver

import (
	"path"
	"strings"
)

// exportRules are the export-ignore lines of all .gitattributes files from the
// root down; the last that matches wins. The syntax is that of gitattributes.
type exportRules []exportRule

type exportRule struct {
	dir      string // of the file, "." for the root
	pattern  []string
	anywhere bool // a pattern without a slash matches at any depth below dir
	dirOnly  bool // a pattern that ends in a slash
	ignore   bool
}

func parseExportRules(dir, text string) exportRules {
	var rules exportRules
	for line := range strings.Lines(text) {
		pattern, attributes := splitAttributes(strings.TrimSpace(line))
		for _, attribute := range attributes {
			if strings.TrimLeft(attribute, "-!") != "export-ignore" {
				continue
			}
			plain := strings.TrimSuffix(pattern, "/")
			rules = append(rules, exportRule{
				dir: dir, pattern: strings.Split(strings.TrimPrefix(plain, "/"), "/"), dirOnly: plain != pattern,
				anywhere: !strings.Contains(plain, "/"), ignore: attribute == "export-ignore",
			})
		}
	}
	return rules
}

// splitAttributes splits a line; a pattern with spaces is in double quotes.
func splitAttributes(line string) (pattern string, attributes []string) {
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		if pattern, rest, ok := strings.Cut(quoted, `"`); ok {
			return pattern, strings.Fields(rest)
		}
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[attr]") || strings.HasPrefix(line, "!") {
		return "", nil
	}
	return fields[0], fields[1:]
}

func (r exportRules) ignore(name string, dir bool) bool {
	ignored := false
	for _, rule := range r {
		if rule.matches(name) && (dir || !rule.dirOnly) {
			ignored = rule.ignore
		}
	}
	return ignored
}

func (r exportRule) matches(name string) bool {
	relative := name
	if r.dir != "." {
		relative = strings.TrimPrefix(name, r.dir+"/")
	}
	if r.anywhere {
		return matchPart(r.pattern[0], path.Base(relative))
	}
	return matchParts(r.pattern, strings.Split(relative, "/"))
}

// matchParts matches a path; ** stands for any number of directories.
func matchParts(pattern, parts []string) bool {
	if len(pattern) == 0 {
		return len(parts) == 0
	}
	if pattern[0] == "**" {
		if len(pattern) == 1 {
			return len(parts) > 0
		}
		for i := range len(parts) + 1 {
			if matchParts(pattern[1:], parts[i:]) {
				return true
			}
		}
		return false
	}
	return len(parts) > 0 && matchPart(pattern[0], parts[0]) && matchParts(pattern[1:], parts[1:])
}

func matchPart(pattern, part string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), part)
	return ok && err == nil
}
