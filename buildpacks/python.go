package buildpacks

import (
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

const pythonPort = 8000

// pythonApp is a Python repository: who installs its dependencies, what they
// are, and what of it runs before the app starts.
type pythonApp struct {
	src      source
	manager  pythonManager
	manifest pythonManifest
	// packages are the dependencies for production, by their normal names.
	packages map[string]bool
	// server is a package that the app lacks to be served in production.
	server string
	// collect is the directory of the manage.py that collects static files, or "".
	collect string
	assets  *assets
}

// pythonManifest is what we read of pyproject.toml, as the Python Packaging
// User Guide and the tools' documentation describe it.
type pythonManifest struct {
	BuildSystem map[string]any `toml:"build-system"`
	Project     struct {
		Name         string            `toml:"name"`
		Dependencies []string          `toml:"dependencies"`
		Python       string            `toml:"requires-python"`
		Scripts      map[string]string `toml:"scripts"`
	} `toml:"project"`
	Tool struct {
		Poetry *struct {
			Name         string         `toml:"name"`
			Dependencies map[string]any `toml:"dependencies"`
			Packages     []any          `toml:"packages"`
			PackageMode  *bool          `toml:"package-mode"`
			Scripts      map[string]any `toml:"scripts"`
		} `toml:"poetry"`
		UV struct {
			Package   *bool          `toml:"package"`
			Workspace map[string]any `toml:"workspace"`
			Sources   map[string]any `toml:"sources"`
		} `toml:"uv"`
	} `toml:"tool"`
}

func detectPython(src source) (*Plan, error) {
	evidence := src.first("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "requirements/production.txt",
		"requirements/prod.txt", "requirements/base.txt", "manage.py", "main.py", "app.py")
	if evidence == "" {
		if evidence = scriptAlone(src); evidence == "" {
			return nil, nil
		}
	}
	app := &pythonApp{src: src, packages: map[string]bool{}}
	if _, err := src.readTOML("pyproject.toml", &app.manifest); err != nil {
		return nil, err
	}
	reasons, err := app.chooseManager()
	if err != nil {
		return nil, err
	}
	need, err := app.version()
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Python", Reasons: append([]string{evidence}, reasons...), Need: need, Port: pythonPort,
		Render: app.render, Processes: models.Processes{},
	}
	if err := app.planStart(plan); err != nil {
		return nil, err
	}
	app.assets, err = findAssets(src, plan)
	return plan, err
}

// scriptAlone finds the script of an app that has nothing else: the one that a
// Procfile runs, or one with a name that people give them.
func scriptAlone(src source) string {
	if src.first("package.json", "index.html", "Staticfile") != "" {
		return ""
	}
	for _, process := range sortedKeys(src.procfile) {
		if match := pythonCommand.FindStringSubmatch(strings.Join(src.procfile[process], " ")); match != nil && src.has(match[1]) {
			return match[1] + " in Procfile"
		}
	}
	return src.first(scriptNames...)
}

// pythonCommand matches a command that runs a script, with options before it.
var pythonCommand = regexp.MustCompile(`^(?:/bin/sh -c (?:exec )?)?python3?(?: -\w+)* (\S+\.py)\b`)

// planStart decides how the app starts, where no Procfile or setting does.
func (a *pythonApp) planStart(plan *Plan) error {
	found, err := a.start(plan)
	if err != nil || a.src.webDecided() || found.command == "" {
		return err
	}
	plan.Processes[models.WebProcess] = argv(found.command)
	plan.Reasons = append(plan.Reasons, "start: "+found.reason)
	if a.server = found.server; a.server != "" && !a.has(a.server) {
		plan.Reasons = append(plan.Reasons, a.server+" is added: the app has no server for production")
	} else {
		a.server = ""
	}
	return nil
}

// version decides the version of Python by the files that name one.
func (a *pythonApp) version() (*Requirement, error) {
	var wishes []wish
	for _, name := range []string{".python-version", "runtime.txt"} {
		wanted, err := a.src.line(name)
		if err != nil {
			return nil, err
		}
		if wanted = strings.TrimPrefix(strings.ToLower(wanted), "python-"); wanted != "" {
			wishes = append(wishes, wish{majorMinor(wanted), name})
		}
	}
	pinned, err := a.pipenvVersion()
	if err != nil {
		return nil, err
	}
	wishes = append(wishes, pinned, wish{pythonRange(a.manifest.Project.Python), "requires-python in pyproject.toml"})
	if poetry := a.manifest.Tool.Poetry; poetry != nil {
		wanted, _ := poetry.Dependencies["python"].(string)
		wishes = append(wishes, wish{pythonRange(wanted), "dependencies.python in pyproject.toml"})
	}
	return a.src.requirement("python", wishes...)
}

// pipenvVersion reads the version that a Pipfile requires.
func (a *pythonApp) pipenvVersion() (wish, error) {
	var file struct {
		Requires map[string]string `toml:"requires"`
	}
	if _, err := a.src.readTOML("Pipfile", &file); err != nil {
		return wish{}, err
	}
	for _, field := range []string{"python_version", "python_full_version"} {
		if wanted := file.Requires[field]; wanted != "" && wanted != "*" {
			return wish{majorMinor(wanted), field + " in Pipfile"}, nil
		}
	}
	return wish{}, nil
}

var (
	compatibleMinor = regexp.MustCompile(`~=\s*(\d+\.\d+)([^.\d]|$)`)
	exactly         = regexp.MustCompile(`(^|[^<>!~=])={2,3}\s*`)
)

// pythonRange writes a range of Python's version specifiers (PEP 440) as other
// package managers do.
func pythonRange(text string) string {
	text = compatibleMinor.ReplaceAllString(text, "^$1$2")
	text = strings.ReplaceAll(text, "~=", "~")
	return exactly.ReplaceAllString(text, "$1=")
}

// has reports whether a package is among the dependencies.
func (a *pythonApp) has(name string) bool { return a.packages[name] }

var (
	requirementName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?`)
	nameSeparators  = regexp.MustCompile(`[-_.]+`)
)

// add notes a dependency as requirements files and pyproject.toml write it. An
// extra is noted as name[extra].
func (a *pythonApp) add(requirement string) {
	match := requirementName.FindStringSubmatch(strings.TrimSpace(requirement))
	if match == nil {
		return
	}
	name := normalName(match[1])
	a.packages[name] = true
	for extra := range strings.SplitSeq(match[2], ",") {
		a.packages[name+"["+normalName(strings.TrimSpace(extra))+"]"] = true
	}
	if slices.Contains([]string{"fastapi[standard]", "fastapi[all]"}, name+"["+match[2]+"]") {
		a.packages["uvicorn"] = true
	}
}

// normalName is a package's name as PyPI compares it (PEP 503).
func normalName(name string) string {
	return strings.ToLower(nameSeparators.ReplaceAllString(name, "-"))
}
