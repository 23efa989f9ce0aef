package buildpacks

import (
	"encoding/json"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/skypanel/sky/models"
)

const nodePort = 3000

// packageJSON is what we read of npm's manifest, as docs.npmjs.com describes
// package.json.
type packageJSON struct {
	Name                 string            `json:"name"`
	Main                 string            `json:"main"`
	Scripts              map[string]string `json:"scripts"`
	Engines              map[string]string `json:"engines"`
	PackageManager       string            `json:"packageManager"`
	Volta                map[string]string `json:"volta"`
	Dependencies         map[string]string `json:"dependencies"`
	DevDependencies      map[string]string `json:"devDependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	Workspaces           json.RawMessage   `json:"workspaces"`
}

// nodeApp is a Node.js repository with what its plan depends on.
type nodeApp struct {
	workspace
	src       source
	manifest  packageJSON
	manager   manager
	framework framework
	// site is set where the build is served as files, by a web server, and static
	// is how.
	site   bool
	static staticSite
	// standalone is set where Next.js's own server is all that runs.
	standalone bool
	// keepDev is why dev dependencies stay in what runs, or "".
	keepDev string
	// needsManager is set where a process runs the package manager, and others are
	// those that scripts run beside it.
	needsManager bool
	others       []managerKind
}

func detectNode(src source) (*Plan, error) {
	app := &nodeApp{src: src}
	found, err := src.readJSON("package.json", &app.manifest)
	if err != nil || !found {
		return nil, err
	}
	if app.workspace, err = findWorkspace(src, app.manifest); err != nil {
		return nil, err
	}
	var reasons []string
	if app.manager, reasons, err = chooseManager(app.base, app.top); err != nil {
		return nil, err
	}
	need, err := nodeVersion(app)
	if err != nil {
		return nil, err
	}
	if app.framework, err = findFramework(src, app.manifest); err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Node.js", Reasons: append([]string{"package.json"}, reasons...), Need: need, Port: nodePort,
		Render: app.render, Processes: models.Processes{}, Context: app.base.root, finish: app.finish,
	}
	if app.manager.lock == "" && app.hasDependencies() {
		plan.Reasons = append(plan.Reasons, "no "+app.manager.locks[0]+": versions may change between builds")
	}
	return plan, app.plan(plan)
}

// plan decides what serves the app: a process of its own, or a web server that
// shows what the build made.
func (a *nodeApp) plan(plan *Plan) error {
	decided := a.src.webDecided()
	command, reason := a.start()
	switch {
	case command != nil:
		plan.Processes[models.WebProcess] = command
		if !decided {
			plan.Reasons = append(plan.Reasons, "start: "+reason)
		}
	case decided:
	case a.framework.site != "":
		return a.serveSite(plan)
	case len(a.members) > 0 && a.dir == "." && len(a.src.procfile) == 0:
		return a.checkMembers()
	}
	return nil
}

// serveSite plans a web server for what the build makes; Node.js is but the
// build's.
func (a *nodeApp) serveSite(plan *Plan) error {
	a.site = true
	a.static = staticSite{root: path.Join(a.home(), a.framework.site), built: true, spa: a.framework.page == indexPage}
	if err := a.static.readRules(a.src, "public", "static", "src", "."); err != nil {
		return err
	}
	if page := a.framework.page; page != "" && !a.static.spa {
		others, err := parseRedirects("the framework's fallback", "/* /"+page+" 200")
		if err != nil {
			return err
		}
		a.static.redirects = append(a.static.redirects, others...)
	}
	plan.Tools = append(plan.Tools, *plan.Need)
	plan.Need = &Requirement{Type: "static"}
	plan.Language, plan.Port = a.framework.name, defaultPort
	plan.Processes[models.WebProcess] = staticCommand()
	if script := a.manifest.Scripts["start"]; script != "" {
		plan.Reasons = append(plan.Reasons, "scripts.start ("+script+") is for development")
	}
	plan.Reasons = append(plan.Reasons, "the build in "+a.framework.site+" is served as a site")
	plan.Reasons = append(plan.Reasons, a.static.reasons()...)
	return nil
}

// indexPage is the shell of a single-page app.
const indexPage = "index.html"

func nodeVersion(a *nodeApp) (*Requirement, error) {
	wishes := []wish{{a.manifest.Engines["node"], "engines.node"}, {a.manifest.Volta["node"], "volta.node"}}
	for _, src := range []source{a.src, a.base} {
		for _, name := range []string{".nvmrc", ".node-version"} {
			wanted, err := src.line(name)
			if err != nil {
				return nil, err
			}
			wishes = append(wishes, wish{strings.TrimPrefix(wanted, "v"), name})
		}
	}
	wishes = append(wishes, wish{a.top.Engines["node"], "engines.node"}, wish{a.top.Volta["node"], "volta.node"})
	return a.src.requirement("node", wishes...)
}

func (a *nodeApp) hasDependencies() bool {
	return slices.ContainsFunc(a.packages(), func(p packageJSON) bool { return len(p.dependencyNames()) > 0 })
}

func (a *nodeApp) hasDevDependencies() bool {
	return slices.ContainsFunc(a.packages(), func(p packageJSON) bool { return len(p.DevDependencies) > 0 })
}

// dependencyNames lists the packages of every kind that p asks for, sorted.
func (p packageJSON) dependencyNames() []string {
	var names []string
	for _, dependencies := range []map[string]string{p.Dependencies, p.DevDependencies, p.OptionalDependencies} {
		for name := range dependencies {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return slices.Compact(names)
}

// installScripts are the app's own scripts that package managers run when they
// install, in npm's order; Heroku's run around them.
var installScripts = []string{"heroku-prebuild", "preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"}

// installsFromSource reports whether installing needs more of the app than its
// manifests: it runs scripts of the app's own, which may read and write any of
// its files, or links packages that lie in the repository.
func (a *nodeApp) installsFromSource() bool {
	if a.base.has("binding.gyp") { // npm compiles it when it installs
		return true
	}
	for _, manifest := range a.packages() {
		for _, name := range installScripts {
			if script := manifest.Scripts[name]; script != "" && !strings.HasPrefix(script, "husky") {
				return true
			}
		}
		for _, dependencies := range []map[string]string{manifest.Dependencies, manifest.DevDependencies} {
			for _, from := range dependencies {
				if strings.HasPrefix(from, "file:") || strings.HasPrefix(from, "link:") || strings.HasPrefix(from, ".") {
					return true
				}
			}
		}
	}
	return false
}

// layered reports whether node_modules can be a layer of its own: one package,
// whose build and install write nowhere but to their own places.
func (a *nodeApp) layered() bool {
	return len(a.members) == 0 && !a.manager.pnp && !a.installsFromSource() &&
		a.manifest.Scripts["heroku-cleanup"] == "" && !a.manifest.uses("prisma") && !a.manifest.uses("@prisma/client")
}

// buildSteps are the commands that build the app, at the top of the workspace.
func (a *nodeApp) buildSteps() []string {
	if command := a.src.options.BuildCommand; command != "" {
		return []string{a.within(a.dir, command)}
	}
	for _, name := range []string{"heroku-postbuild", "build"} {
		switch {
		case a.manifest.Scripts[name] == "":
		case a.dir != "." && a.top.uses("turbo") && a.base.has("turbo.json"):
			return []string{"turbo run " + name + " --filter=./" + a.dir}
		default:
			return append(a.buildNeeded(), a.within(a.dir, a.manager.script(name)))
		}
	}
	if a.framework.build != "" && (a.site || a.manifest.Scripts["start"] == "") {
		return append(a.buildNeeded(), a.within(a.dir, a.execute(a.framework.build)))
	}
	return a.buildNeeded()
}

// buildNeeded builds the packages of the workspace that the app depends on.
func (a *nodeApp) buildNeeded() []string {
	var steps []string
	for _, m := range a.needed(a.manifest) {
		if m.manifest.Scripts["build"] != "" {
			steps = append(steps, a.within(m.dir, a.manager.script("build")))
		}
	}
	return steps
}

// within runs a command in a directory below the top.
func (a *nodeApp) within(dir, command string) string {
	if dir == "." {
		return command
	}
	return "cd /app/" + dir + " && " + command
}

// execute runs a program of a dependency. It is in PATH, except where Yarn keeps
// no node_modules.
func (a *nodeApp) execute(command string) string {
	if a.manager.pnp {
		return "yarn exec " + command
	}
	return command
}

// home is the app's directory in the image.
func (a *nodeApp) home() string { return path.Join("/app", a.dir) }
