package buildpacks

import (
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// workspace is where an app stands among the packages of its repository. Package
// managers install a whole workspace at once, from one lock file.
type workspace struct {
	// base is the directory that holds the lock file, and top its package.json.
	base source
	top  packageJSON
	// dir is the app's directory below base; "." where they are the same.
	dir     string
	members []member
}

// member is one package of a workspace, beside the top.
type member struct {
	dir      string
	manifest packageJSON
}

// findWorkspace looks for the directory that the app is installed from: the
// nearest one above it whose workspaces include it, else its own.
func findWorkspace(src source, manifest packageJSON) (workspace, error) {
	alone := workspace{base: src, top: manifest, dir: "."}
	members, err := workspaceMembers(src, manifest)
	if err != nil || len(members) > 0 || ownLock(src) {
		alone.members = members
		return alone, err
	}
	for dir := src.root; dir != "."; {
		dir = path.Dir(dir)
		found, err := workspaceAbove(src, dir)
		if err != nil || found.dir != "" {
			return found, err
		}
	}
	return alone, nil
}

func ownLock(src source) bool {
	return src.first("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb") != ""
}

// workspaceAbove returns the workspace of dir if it includes the app, else none.
func workspaceAbove(src source, dir string) (workspace, error) {
	found := workspace{base: src.at(dir), dir: strings.TrimPrefix(strings.TrimPrefix(src.root, dir), "/")}
	if _, err := found.base.readJSON("package.json", &found.top); err != nil {
		return workspace{}, err
	}
	var err error
	found.members, err = workspaceMembers(found.base, found.top)
	if err != nil || !slices.ContainsFunc(found.members, func(m member) bool { return m.dir == found.dir }) {
		return workspace{}, err
	}
	return found, nil
}

// workspaceMembers reads the packages that "workspaces" in package.json, or
// pnpm-workspace.yaml, names by pattern.
func workspaceMembers(src source, manifest packageJSON) ([]member, error) {
	var settings struct {
		Packages []string `yaml:"packages"`
	}
	if _, err := src.readYAML("pnpm-workspace.yaml", &settings); err != nil {
		return nil, err
	}
	patterns := append(manifest.workspacePatterns(), settings.Packages...)
	if len(patterns) == 0 {
		return nil, nil
	}
	var members []member
	for _, dir := range packageDirs(src.files) {
		if !included(dir, patterns) {
			continue
		}
		found := member{dir: dir}
		if _, err := src.readJSON(path.Join(dir, "package.json"), &found.manifest); err != nil {
			return nil, err
		}
		members = append(members, found)
	}
	return members, nil
}

// workspacePatterns reads "workspaces": a list, or an object with "packages".
func (p packageJSON) workspacePatterns() []string {
	var list []string
	if json.Unmarshal(p.Workspaces, &list) == nil {
		return list
	}
	var object struct {
		Packages []string `json:"packages"`
	}
	_ = json.Unmarshal(p.Workspaces, &object) // anything else names no package
	return object.Packages
}

// packageDirs lists the directories below the root that hold a package.json.
func packageDirs(files fs.FS) []string {
	var dirs []string
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case entry.IsDir() && name != "." && (entry.Name() == "node_modules" || entry.Name()[0] == '.'):
			return fs.SkipDir
		case entry.Name() == "package.json" && name != "package.json":
			dirs = append(dirs, path.Dir(name))
		}
		return nil
	})
	return dirs
}

// included reports whether patterns choose dir: the last one that matches
// decides, and "!" in front of it excludes.
func included(dir string, patterns []string) bool {
	chosen := false
	for _, pattern := range patterns {
		pattern, excludes := strings.CutPrefix(pattern, "!")
		if matchesGlob(pattern, dir) {
			chosen = !excludes
		}
	}
	return chosen
}

// matchesGlob matches a path with a pattern in which * stands for a part of one
// name and ** for any number of names.
func matchesGlob(pattern, name string) bool {
	pattern = strings.Trim(strings.TrimPrefix(pattern, "./"), "/")
	expression := regexp.QuoteMeta(pattern)
	for _, glob := range [][2]string{{`\*\*/`, `(.*/)?`}, {`/\*\*`, `(/.*)?`}, {`\*\*`, `.*`}, {`\*`, `[^/]*`}, {`\{`, `(`}, {`\}`, `)`}, {`,`, `|`}} {
		expression = strings.ReplaceAll(expression, glob[0], strings.ReplaceAll(glob[1], "*", "\x00"))
	}
	matched, err := regexp.MatchString("^(?:"+strings.ReplaceAll(expression, "\x00", "*")+")$", name)
	return err == nil && matched
}

// manifests are the package.json files of all members, which installing reads.
func (w workspace) manifests() []string {
	var names []string
	for _, m := range w.members {
		names = append(names, m.dir+"/package.json")
	}
	return names
}

// packages are the manifests of the whole workspace.
func (w workspace) packages() []packageJSON {
	all := []packageJSON{w.top}
	for _, m := range w.members {
		all = append(all, m.manifest)
	}
	return all
}

// needed lists the members that the app depends on, each after those that it
// depends on itself.
func (w workspace) needed(app packageJSON) []member {
	byName := map[string]member{}
	for _, m := range w.members {
		byName[m.manifest.Name] = m
	}
	var order []member
	seen := map[string]bool{app.Name: true}
	var visit func(packageJSON)
	visit = func(manifest packageJSON) {
		for _, name := range manifest.dependencyNames() {
			if m, ok := byName[name]; ok && !seen[name] {
				seen[name] = true
				visit(m.manifest)
				order = append(order, m)
			}
		}
	}
	visit(app)
	return order
}

// checkMembers refuses a workspace whose app cannot be told: the top has nothing
// to start, and packages below it do.
func (w workspace) checkMembers() error {
	var startable []string
	for _, m := range w.members {
		if m.manifest.Scripts["start"] != "" {
			startable = append(startable, m.dir)
		}
	}
	if len(startable) == 0 {
		return nil
	}
	return models.Errorf(models.Failed, "the repository is a workspace, and its top says not what to start").
		WithRemedy("sky apps set root-dir=%s starts that package (there is %s), or add a \"start\" script or a Procfile",
			startable[0], strings.Join(startable, ", "))
}
