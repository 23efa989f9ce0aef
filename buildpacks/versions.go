package buildpacks

import (
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/skypanel/sky/models"
)

// wish is a version that one place asks for.
type wish struct {
	constraint string
	source     string
}

// toolNames are what asdf and mise call a Runtime type in .tool-versions and
// mise.toml.
var toolNames = map[string][]string{
	"node": {"node", "nodejs"}, "go": {"go", "golang"}, "python": {"python"}, "php": {"php"},
	"ruby": {"ruby"}, "java": {"java"}, "rust": {"rust"},
}

// requirement decides which version of a Runtime type the app wants. The App's
// variable such as NODE_VERSION overrules every file. Among files, mise.toml and
// .tool-versions come before the language's own, which are given in their order;
// files that contradict one another are models.Failed, which names both.
func (s source) requirement(kind string, own ...wish) (*Requirement, error) {
	variable := strings.ToUpper(kind) + "_VERSION"
	if wanted := s.options.Config[variable]; wanted != "" {
		return &Requirement{Type: kind, Constraint: wanted, Source: variable}, nil
	}
	wishes, err := s.toolWishes(kind)
	if err != nil {
		return nil, err
	}
	wishes = append(wishes, slices.DeleteFunc(own, func(w wish) bool { return w.constraint == "" })...)
	if len(wishes) == 0 {
		return &Requirement{Type: kind}, nil
	}
	first := wishes[0]
	for _, other := range wishes[1:] {
		if contradict(first.constraint, other.constraint) {
			return nil, models.Errorf(models.Failed, "%s asks for %s, but %s for %s", first.source, first.constraint, other.source, other.constraint).
				WithField(first.source).WithRemedy("make both ask for the same version, or remove one")
		}
	}
	return &Requirement{Type: kind, Constraint: first.constraint, Source: first.source}, nil
}

// toolWishes reads the version managers' files that name every language.
func (s source) toolWishes(kind string) ([]wish, error) {
	var wishes []wish
	for _, name := range []string{"mise.toml", ".mise.toml"} {
		var file struct {
			Tools map[string]any `toml:"tools"`
		}
		if _, err := s.readTOML(name, &file); err != nil {
			return nil, err
		}
		for _, tool := range toolNames[kind] {
			if version := miseVersion(file.Tools[tool]); version != "" {
				wishes = append(wishes, wish{version, name})
			}
		}
	}
	text, _, err := s.read(".tool-versions")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && slices.Contains(toolNames[kind], words[0]) {
			wishes = append(wishes, wish{words[1], ".tool-versions"})
		}
	}
	return wishes, nil
}

// miseVersion reads a tool's version as mise's configuration has it: a string, a
// list of which the first counts, or a table with "version".
func miseVersion(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []any:
		if len(value) > 0 {
			return miseVersion(value[0])
		}
	case map[string]any:
		return miseVersion(value["version"])
	}
	return ""
}

// contradict reports whether no version can meet both. Two ranges are given the
// benefit of the doubt, and so is what is no version.
func contradict(a, b string) bool {
	exactA, exactB := exact(a), exact(b)
	switch {
	case exactA != nil && exactB != nil:
		shared := min(strings.Count(trimVersion(a), "."), strings.Count(trimVersion(b), "."))
		return leading(exactA, shared) != leading(exactB, shared)
	case exactA != nil:
		return !meets(a, b)
	case exactB != nil:
		return !meets(b, a)
	default:
		return false
	}
}

func trimVersion(text string) string { return strings.TrimLeft(strings.TrimSpace(text), "=v ") }

func exact(text string) *semver.Version {
	version, err := semver.NewVersion(trimVersion(text))
	if err != nil {
		return nil
	}
	return version
}

// leading is a version's first numbers, after which dots follow.
func leading(version *semver.Version, dots int) [3]uint64 {
	numbers := [3]uint64{version.Major(), version.Minor(), version.Patch()}
	clear(numbers[min(dots+1, len(numbers)):])
	return numbers
}

// meets reports whether a version, of which the last numbers may be left out,
// can be in a range.
func meets(version, constraint string) bool {
	wanted, err := semver.NewConstraint(constraint)
	if err != nil {
		return true
	}
	version = trimVersion(version)
	newest := exact(version + strings.Repeat(".99999", max(0, 2-strings.Count(version, "."))))
	return wanted.Check(exact(version)) || (newest != nil && wanted.Check(newest))
}

// majorMinor shortens "1.22.3" to "1.22".
func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return version
	}
	return parts[0] + "." + parts[1]
}
