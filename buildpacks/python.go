package buildpacks

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

const pythonPort = 8000

// pythonApp is a Python repository: where its dependencies are listed, and
// which of them decide how it starts.
type pythonApp struct {
	requirements string // text of requirements.txt
	pyproject    string // text of pyproject.toml
}

func detectPython(src source) (*Plan, error) {
	evidence := src.first("requirements.txt", "pyproject.toml", "Pipfile", "manage.py", "main.py", "app.py")
	if evidence == "" {
		return nil, nil
	}
	if lock := src.first("uv.lock", "poetry.lock", "pdm.lock", "Pipfile"); lock != "" && !src.has("requirements.txt") {
		return nil, models.Errorf(models.Failed, "%s needs a package manager other than pip, which Sky cannot use yet", lock).
			WithRemedy("export a requirements.txt, or add a Dockerfile")
	}
	app := pythonApp{}
	var err error
	if app.requirements, _, err = src.read("requirements.txt"); err != nil {
		return nil, err
	}
	if app.pyproject, _, err = src.read("pyproject.toml"); err != nil {
		return nil, err
	}
	need, err := pythonVersion(src)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Python", Reasons: []string{evidence}, Need: need, Port: pythonPort,
		Render: app.render, Processes: models.Processes{},
	}
	if command, reason := app.start(src); command != "" {
		plan.Processes[models.WebProcess] = argv(command)
		plan.Reasons = append(plan.Reasons, "start: "+reason)
	}
	return plan, nil
}

func pythonVersion(src source) (*Requirement, error) {
	var wishes []wish
	for _, name := range []string{".python-version", "runtime.txt"} {
		wanted, err := src.line(name)
		if err != nil {
			return nil, err
		}
		if wanted = strings.TrimPrefix(wanted, "python-"); wanted != "" {
			wishes = append(wishes, wish{"~" + majorMinor(wanted), name})
		}
	}
	return src.requirement("python", wishes...)
}

// uses reports whether name is among the dependencies, in either list.
func (a pythonApp) uses(name string) bool {
	pattern := regexp.MustCompile(`(?im)(^|["'\s])` + regexp.QuoteMeta(name) + `(\[[^\]]*\])?\s*($|[<>=~!;,"'\s])`)
	return pattern.MatchString(a.requirements) || pattern.MatchString(a.pyproject)
}

// start finds the server that the frameworks' own documentation recommends
// among the dependencies, or the script that starts one itself.
func (a pythonApp) start(src source) (command, reason string) {
	if project := djangoProject(src); project != "" && a.uses("gunicorn") {
		return "gunicorn --bind 0.0.0.0:$PORT " + project + ".wsgi", "Django project " + project + " under gunicorn"
	}
	script := src.first("main.py", "app.py", "wsgi.py", "server.py")
	if script == "" {
		return "", ""
	}
	module := strings.TrimSuffix(script, ".py")
	switch {
	case a.uses("fastapi") && a.uses("uvicorn"):
		return "uvicorn --host 0.0.0.0 --port $PORT " + module + ":app", "FastAPI under uvicorn"
	case a.uses("flask") && a.uses("gunicorn"):
		return "gunicorn --bind 0.0.0.0:$PORT " + module + ":app", "Flask under gunicorn"
	default:
		return "python " + script, script
	}
}

// djangoProject returns the package beside manage.py that holds wsgi.py.
func djangoProject(src source) string {
	if !src.has("manage.py") {
		return ""
	}
	files, err := fs.Glob(src.files, "*/wsgi.py")
	if err != nil || len(files) == 0 {
		return ""
	}
	return path.Dir(files[0])
}

// installsFromSource reports whether installing reads files beside the list.
func (a pythonApp) installsFromSource() bool {
	if a.requirements == "" {
		return true
	}
	return localRequirement.MatchString(a.requirements)
}

// localRequirement matches a line of a requirements file that names another
// file: an option that includes one, or a path (pip's "Requirements File
// Format").
var localRequirement = regexp.MustCompile(
	`(?m)^\s*(-[rcef]\b|--(requirement|constraint|editable|find-links)\b|\.|/|file:|[^#\n]*@\s*file:)`)

func (a pythonApp) render(images Images) string {
	file := render(images)
	file.from(images.Build, "dependencies")
	file.line("WORKDIR /app")
	command := "python3 -m venv /venv"
	switch {
	case a.requirements != "" && a.installsFromSource():
		file.line("COPY . ./")
		command += " && /venv/bin/pip install --disable-pip-version-check -r requirements.txt"
	case a.requirements != "":
		file.line("COPY requirements.txt ./")
		command += " && /venv/bin/pip install --disable-pip-version-check -r requirements.txt"
	case a.pyproject != "":
		file.line("COPY . ./")
		command += " && /venv/bin/pip install --disable-pip-version-check ."
	}
	file.line("ENV PIP_CACHE_DIR=/cache/pip")
	file.run(command, cache("pip", "/cache/pip"))
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	file.line("COPY --from=dependencies /venv /venv")
	file.line("COPY . ./")
	return file.last("PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
		"PATH=/venv/bin:"+systemPath)
}
