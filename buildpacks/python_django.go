package buildpacks

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

var (
	settingsModule    = regexp.MustCompile(`DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']`)
	wsgiSetting       = regexp.MustCompile(`(?m)^WSGI_APPLICATION\s*=\s*["']([\w.]+)\.(\w+)["']`)
	asgiSetting       = regexp.MustCompile(`(?m)^ASGI_APPLICATION\s*=\s*["']([\w.]+)\.(\w+)["']`)
	staticRootSetting = regexp.MustCompile(`(?m)^\s*STATIC_ROOT\s*(?::[^=\n]+)?=|["']staticfiles["']\s*:`)
)

// djangoProject is what manage.py and the settings say.
type djangoProject struct {
	dir        string // of manage.py
	wsgi, asgi string // module:object
	static     bool   // STATIC_ROOT is set
}

// djangoStart serves a Django project, and has its static files collected.
func (a *pythonApp) djangoStart(plan *Plan) (pythonStart, error) {
	if !a.has("django") {
		return pythonStart{}, nil
	}
	project, err := a.findDjango()
	if err != nil || project == nil {
		return pythonStart{}, err
	}
	disabled := a.src.options.Config["DISABLE_COLLECTSTATIC"]
	switch {
	case !project.static:
	case disabled == "" || disabled == "0":
		a.collect = project.dir
		plan.Reasons = append(plan.Reasons, "collectstatic, since the settings have STATIC_ROOT")
	default:
		plan.Reasons = append(plan.Reasons, "no collectstatic: DISABLE_COLLECTSTATIC is set")
	}
	return a.serveDjango(*project), nil
}

// serveDjango prefers the interface that the settings name, and of its servers
// one that is installed.
func (a *pythonApp) serveDjango(project djangoProject) pythonStart {
	asynchronous := project.asgi != "" && (project.wsgi == "" || (!a.has("gunicorn") && (a.has("uvicorn") || a.has("daphne"))))
	switch {
	case asynchronous && a.has("daphne") && project.dir == ".":
		return pythonStart{command: "daphne -b 0.0.0.0 -p $PORT " + project.asgi, reason: "Django under Daphne"}
	case asynchronous:
		return pythonStart{
			command: "uvicorn --host 0.0.0.0 --port $PORT " + option("--app-dir", project.dir) + project.asgi,
			reason:  "Django under uvicorn", server: "uvicorn",
		}
	case project.wsgi == "":
		return pythonStart{}
	}
	return pythonStart{
		command: "gunicorn --bind 0.0.0.0:$PORT " + option("--chdir", project.dir) + project.wsgi,
		reason:  "Django under gunicorn", server: "gunicorn",
	}
}

// option writes a flag for a directory that is not the app's own.
func option(flag, dir string) string {
	if dir == "." {
		return ""
	}
	return flag + " " + dir + " "
}

// findDjango reads the project: manage.py at the root or one directory down, the
// settings that it names, and where they do not say, the package's wsgi.py.
func (a *pythonApp) findDjango() (*djangoProject, error) {
	manage := a.src.first("manage.py")
	if below, _ := fs.Glob(a.src.files, "*/manage.py"); manage == "" && len(below) > 0 { // the pattern is well formed
		manage = below[0]
	}
	if manage == "" {
		return nil, nil
	}
	project := &djangoProject{dir: path.Dir(manage)}
	text, _, err := a.src.read(manage)
	if err != nil {
		return nil, err
	}
	settings := ""
	if match := settingsModule.FindStringSubmatch(text); match != nil {
		if settings, err = a.settings(project.dir, match[1]); err != nil {
			return nil, err
		}
	}
	project.static = staticRootSetting.MatchString(settings)
	project.readApplications(settings)
	if project.wsgi == "" && project.asgi == "" {
		project.findApplication(a.src)
	}
	return project, nil
}

// settings is the text of a settings module, or of all in its package: projects
// often split theirs.
func (a *pythonApp) settings(dir, module string) (string, error) {
	base := path.Join(dir, strings.ReplaceAll(module, ".", "/"))
	names := []string{base + ".py"}
	for _, pattern := range []string{base + "/*.py", path.Join(path.Dir(base), "base.py"), path.Join(path.Dir(base), "common.py"), path.Join(path.Dir(base), "prod*.py")} {
		found, err := fs.Glob(a.src.files, pattern)
		if err != nil {
			return "", models.Errorf(models.Internal, "list settings: %w", err)
		}
		names = append(names, found...)
	}
	var all strings.Builder
	for _, name := range names {
		text, _, err := a.src.read(name)
		if err != nil {
			return "", err
		}
		all.WriteString(text + "\n")
	}
	return all.String(), nil
}

func (p *djangoProject) readApplications(settings string) {
	if match := wsgiSetting.FindStringSubmatch(settings); match != nil {
		p.wsgi = match[1] + ":" + match[2]
	}
	if match := asgiSetting.FindStringSubmatch(settings); match != nil {
		p.asgi = match[1] + ":" + match[2]
	}
}

// findApplication takes the first wsgi.py, then asgi.py, beside the project.
func (p *djangoProject) findApplication(src source) {
	for _, kind := range []struct {
		name string
		into *string
	}{{"wsgi", &p.wsgi}, {"asgi", &p.asgi}} {
		files, _ := fs.Glob(src.files, path.Join(p.dir, "*", kind.name+".py")) // the pattern is well formed
		if len(files) > 0 {
			*kind.into = path.Base(path.Dir(files[0])) + "." + kind.name + ":application"
		}
	}
}
