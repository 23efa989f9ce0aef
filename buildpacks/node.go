package buildpacks

import (
	"encoding/json"
	"strings"

	"github.com/skypanel/sky/models"
)

const nodePort = 3000

// packageJSON is what we read of npm's manifest, as docs.npmjs.com describes
// package.json.
type packageJSON struct {
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Engines         map[string]string `json:"engines"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	Workspaces      json.RawMessage   `json:"workspaces"`
}

// nodeApp is a Node.js repository with what its plan depends on.
type nodeApp struct {
	manifest packageJSON
	lock     bool // package-lock.json or npm-shrinkwrap.json
	npmrc    bool
}

func detectNode(src source) (*Plan, error) {
	app := nodeApp{}
	found, err := src.readJSON("package.json", &app.manifest)
	if err != nil || !found {
		return nil, err
	}
	if err := otherPackageManager(src); err != nil {
		return nil, err
	}
	app.lock = src.first("package-lock.json", "npm-shrinkwrap.json") != ""
	app.npmrc = src.has(".npmrc")
	need, err := nodeVersion(src, app.manifest)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Node.js", Reasons: []string{"package.json"}, Need: need, Port: nodePort,
		Render: app.render, Processes: models.Processes{},
	}
	if !app.lock && app.hasDependencies() {
		plan.Reasons = append(plan.Reasons, "no package-lock.json: versions may change between builds")
	}
	if command, reason := app.start(src); command != nil {
		plan.Processes[models.WebProcess] = command
		plan.Reasons = append(plan.Reasons, "start: "+reason)
	}
	return plan, nil
}

// otherPackageManager refuses what this buildpack would build wrongly.
func otherPackageManager(src source) error {
	lock := src.first("pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb")
	if lock == "" || src.first("package-lock.json", "npm-shrinkwrap.json") != "" {
		return nil
	}
	return models.Errorf(models.Failed, "%s needs a package manager other than npm, which Sky cannot use yet", lock).
		WithRemedy("commit a package-lock.json (`npm install --package-lock-only`) or a Dockerfile")
}

func nodeVersion(src source, manifest packageJSON) (*Requirement, error) {
	wishes := []wish{{manifest.Engines["node"], "engines.node"}}
	for _, name := range []string{".nvmrc", ".node-version"} {
		wanted, err := src.line(name)
		if err != nil {
			return nil, err
		}
		wishes = append(wishes, wish{strings.TrimPrefix(wanted, "v"), name})
	}
	return src.requirement("node", wishes...)
}

// start finds the command that npm's users expect to start the app.
func (a nodeApp) start(src source) (command []string, reason string) {
	if script := a.manifest.Scripts["start"]; script != "" {
		if a.manifest.Scripts["prestart"] != "" {
			return []string{"npm", "start"}, "npm start, which runs prestart first"
		}
		return argv(script), "scripts.start"
	}
	if src.has(a.manifest.Main) {
		return []string{"node", a.manifest.Main}, "main in package.json"
	}
	if name := src.first("server.js", "index.js", "app.js"); name != "" {
		return []string{"node", name}, name
	}
	return nil, ""
}

func (a nodeApp) hasDependencies() bool {
	return len(a.manifest.Dependencies)+len(a.manifest.DevDependencies) > 0
}

// installsFromSource reports whether installing needs more of the app than its
// manifests: it runs scripts of the app's own, which may read and write any of
// its files, or links packages that lie in the repository.
func (a nodeApp) installsFromSource() bool {
	if len(a.manifest.Workspaces) > 0 {
		return true
	}
	for _, dependencies := range []map[string]string{a.manifest.Dependencies, a.manifest.DevDependencies} {
		for _, from := range dependencies {
			if strings.HasPrefix(from, "file:") || strings.HasPrefix(from, ".") {
				return true
			}
		}
	}
	for _, script := range []string{"preinstall", "install", "postinstall", "prepare"} {
		if a.manifest.Scripts[script] != "" {
			return true
		}
	}
	return false
}

func (a nodeApp) render(images Images) string {
	file := render(images)
	if a.installsFromSource() {
		return a.renderWhole(file)
	}
	builds := a.manifest.Scripts["build"] != ""
	if a.hasDependencies() {
		a.install(file, "package.json"+a.otherManifests(), builds)
	}
	if builds && a.hasDependencies() {
		file.line("\nFROM dependencies AS pruned")
		file.run(npmPrune, cache("npm", npmCache))
	}
	if builds {
		a.build(file)
	}
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	if a.hasDependencies() {
		stage := "dependencies"
		if builds {
			stage = "pruned"
		}
		file.line("COPY --from=%s /app/node_modules ./node_modules", stage)
	}
	if builds {
		file.line("COPY --from=build /app ./")
	} else {
		file.line("COPY . ./")
	}
	return lastNode(file)
}

// renderWhole builds in one line of stages, with all of the app's files in each:
// what install scripts write beside node_modules is part of the app, and they
// may use tools that are dev dependencies.
func (a nodeApp) renderWhole(file *dockerfile) string {
	a.install(file, ".", true)
	stage := "dependencies"
	if a.manifest.Scripts["build"] != "" {
		file.line("\nFROM dependencies AS build")
		file.run(npmBuild, cache("npm", npmCache))
		stage = "build"
	}
	file.line("\nFROM %s AS pruned", stage)
	file.run(npmPrune, cache("npm", npmCache))
	file.line("\nFROM %s", file.images.Run)
	file.line("WORKDIR /app")
	file.line("COPY --from=pruned /app ./")
	return lastNode(file)
}

func lastNode(file *dockerfile) string {
	return file.last("NODE_ENV=production", "PATH=/app/node_modules/.bin:"+systemPath)
}

const (
	npmCache = "/cache/npm"
	npmPrune = "npm prune --omit=dev --ignore-scripts"
	// npmQuiet points npm to its cache and keeps it from asking the registry for
	// more than packages.
	npmQuiet = "ENV npm_config_cache=" + npmCache + " npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false"
	npmBuild = "npm run build"
)

// install puts the dependencies into a stage of their own: as long as files do
// not change, it is not run again.
func (a nodeApp) install(file *dockerfile, files string, keepDev bool) {
	file.from(file.images.Build, "dependencies")
	file.line(npmQuiet)
	file.line("WORKDIR /app")
	file.line("COPY %s ./", files)
	command := "npm install"
	if a.lock {
		command = "npm ci"
	}
	if !keepDev {
		command += " --omit=dev"
	}
	file.run(command+" && mkdir -p node_modules", cache("npm", npmCache))
}

// otherManifests are the files beside package.json that installing depends on.
func (a nodeApp) otherManifests() string {
	files := ""
	if a.lock {
		files = " package-lock.jso[n] npm-shrinkwrap.jso[n]"
	}
	if a.npmrc {
		files += " .npmrc"
	}
	return files
}

// build runs the build script with all dependencies bound in, so that they
// stay out of its layer.
func (a nodeApp) build(file *dockerfile) {
	file.from(file.images.Build, "build")
	file.line(npmQuiet)
	file.line("WORKDIR /app")
	file.line("COPY . ./")
	mounts := []string{}
	if a.hasDependencies() {
		mounts = append(mounts, "--mount=type=bind,from=dependencies,source=/app/node_modules,target=/app/node_modules,rw")
	}
	file.run(npmBuild, append(mounts, cache("npm", npmCache))...)
}
