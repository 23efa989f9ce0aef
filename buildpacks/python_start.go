package buildpacks

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// pythonStart is a command that serves the app, and the server that it takes.
type pythonStart struct {
	command, reason, server string
}

// start finds how the app is served in production: by the server that its
// framework's documentation recommends, or by the script that is one itself.
func (a *pythonApp) start(plan *Plan) (pythonStart, error) {
	django, err := a.djangoStart(plan)
	if err != nil || django.command != "" {
		return django, err
	}
	if found := a.streamlit(); found.command != "" {
		return found, nil
	}
	found, err := a.findApp()
	if err != nil || found.command != "" {
		return found, err
	}
	return a.script(), nil
}

func (a *pythonApp) streamlit() pythonStart {
	file := a.src.first("streamlit_app.py", "app.py", "main.py", "Home.py")
	if !a.has("streamlit") || file == "" {
		return pythonStart{}
	}
	return pythonStart{
		command: "streamlit run " + file + " --server.port $PORT --server.address 0.0.0.0 --server.headless true --browser.gatherUsageStats false",
		reason:  "Streamlit runs " + file,
	}
}

// scriptNames are the files that people give the entry of an app, in the order
// in which they are looked for.
var scriptNames = []string{"main.py", "app.py", "wsgi.py", "asgi.py", "server.py", "api.py", "application.py", "run.py", "web.py", "hello.py", "index.py", "bot.py"}

// script starts a file that serves the app itself, else what the project calls
// its program.
func (a *pythonApp) script() pythonStart {
	if file := a.src.first(scriptNames...); file != "" {
		if a.has("gradio") {
			return pythonStart{command: "env GRADIO_SERVER_PORT=$PORT python " + file, reason: "Gradio runs " + file}
		}
		return pythonStart{command: "python " + file, reason: file}
	}
	if scripts := a.manifest.Project.Scripts; len(scripts) == 1 && a.manager.self+a.manager.install != "" {
		for name := range scripts {
			return pythonStart{command: name, reason: "project.scripts in pyproject.toml"}
		}
	}
	for _, pattern := range []string{"*/__main__.py", "src/*/__main__.py"} {
		files, _ := fs.Glob(a.src.files, pattern) // the pattern is well formed
		if len(files) == 1 {
			return pythonStart{command: "python -m " + path.Base(path.Dir(files[0])), reason: files[0]}
		}
	}
	return pythonStart{}
}

// webApp is an object, or a function that makes one, which a server can serve.
type webApp struct {
	file, framework, name string
	factory               bool
}

var (
	appObject  = regexp.MustCompile(`(?m)^(\w+)(?:\s*,\s*\w+)*\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(Flask|FastAPI|Starlette|Litestar|Quart|Dash|FastHTML|fast_app)\(`)
	appMaker   = regexp.MustCompile(`(?m)^(?:async )?def (create_app|make_app|create_application)\(\s*(?:\)|\w+[^,)]*=)`)
	madeObject = regexp.MustCompile(`(?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(?:create_app|make_app|create_application)\(`)
	asyncApps  = []string{"FastAPI", "Starlette", "Litestar", "Quart", "FastHTML", "fast_app"}
)

// findApp looks for a web framework's object in the usual files, then in every
// package one or two directories down.
func (a *pythonApp) findApp() (pythonStart, error) {
	framework := a.usedFramework()
	if framework == "" {
		return pythonStart{}, nil
	}
	files := slices.Clone(scriptNames)
	for _, pattern := range []string{"*/main.py", "*/app.py", "*/wsgi.py", "*/asgi.py", "*/server.py", "*/api.py", "*/__init__.py",
		"src/*/main.py", "src/*/app.py", "src/*/server.py", "src/*/__init__.py", "app/*/main.py", "*.py"} {
		found, _ := fs.Glob(a.src.files, pattern) // the pattern is well formed
		files = append(files, found...)
	}
	factory := webApp{}
	for _, file := range files {
		if strings.HasPrefix(path.Base(file), "test") || strings.HasPrefix(file, "test") {
			continue
		}
		text, _, err := a.src.read(file)
		if err != nil {
			return pythonStart{}, err
		}
		if match := appObject.FindStringSubmatch(text); match != nil {
			return a.serve(webApp{file: file, framework: match[2], name: match[1]}, text), nil
		}
		if match := madeObject.FindStringSubmatch(text); match != nil {
			return a.serve(webApp{file: file, framework: framework, name: match[1]}, text), nil
		}
		if match := appMaker.FindStringSubmatch(text); match != nil && factory.file == "" {
			factory = webApp{file: file, framework: framework, name: match[1], factory: true}
		}
	}
	if factory.file == "" {
		return pythonStart{}, nil
	}
	return a.serve(factory, ""), nil
}

// usedFramework is the web framework among the dependencies, by its class.
func (a *pythonApp) usedFramework() string {
	if a.has("python-fasthtml") {
		return "FastHTML"
	}
	for _, framework := range []string{"FastAPI", "Litestar", "Quart", "Dash", "Flask", "Starlette"} {
		if a.has(strings.ToLower(framework)) {
			return framework
		}
	}
	return ""
}

// serve is the command for an app under a server for production.
func (a *pythonApp) serve(app webApp, text string) pythonStart {
	dir, module := a.moduleOf(app.file)
	if a.has("flask-socketio") && strings.Contains(text, ".run(") {
		return pythonStart{command: "python " + app.file, reason: app.file + ", which serves Flask-SocketIO itself"}
	}
	if slices.Contains(asyncApps, app.framework) {
		return a.serveAsync(app, dir, module)
	}
	name := app.name
	if app.framework == "Dash" {
		name += ".server"
		if match := dashServer.FindStringSubmatch(text); match != nil {
			name = match[1]
		}
	}
	target := module + ":" + name
	if app.factory {
		target = "'" + target + "()'"
	}
	if dir != "." {
		target = "--chdir " + dir + " " + target
	}
	return pythonStart{command: "gunicorn --bind 0.0.0.0:$PORT " + target, reason: app.framework + " in " + app.file + " under gunicorn", server: "gunicorn"}
}

var dashServer = regexp.MustCompile(`(?m)^(\w+)\s*=\s*\w+\.server\s*$`)

func (a *pythonApp) serveAsync(app webApp, dir, module string) pythonStart {
	target := module + ":" + app.name
	if app.factory {
		target = "--factory " + target
	}
	if dir != "." {
		target = "--app-dir " + dir + " " + target
	}
	reason := app.framework + " in " + app.file + " under "
	if a.has("hypercorn") && !a.has("uvicorn") && dir == "." && !app.factory {
		return pythonStart{command: "hypercorn --bind 0.0.0.0:$PORT " + target, reason: reason + "Hypercorn"}
	}
	return pythonStart{command: "uvicorn --host 0.0.0.0 --port $PORT " + target, reason: reason + "uvicorn", server: "uvicorn"}
}

// moduleOf is the name by which a file is imported, and the directory from which
// it is.
func (a *pythonApp) moduleOf(file string) (dir, module string) {
	dir = "."
	if rest, ok := strings.CutPrefix(file, "src/"); ok && !a.src.has("src/__init__.py") {
		dir, file = "src", rest
	}
	file = strings.TrimSuffix(strings.TrimSuffix(file, ".py"), "/__init__")
	return dir, strings.ReplaceAll(file, "/", ".")
}
