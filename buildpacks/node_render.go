package buildpacks

import (
	"path"
	"slices"
	"strings"
)

const (
	npmCache = "/cache/npm"
	// npmQuiet points npm to its cache and keeps it from asking the registry for
	// more than packages.
	npmQuiet = "npm_config_cache=" + npmCache + " npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false"
)

func (a *nodeApp) render(images Images) string {
	if a.site {
		images.Build = images.Tools["node"]
	}
	file := render(images)
	built := len(a.buildSteps()) > 0
	if releases := a.fetched(); len(releases) > 0 && (a.hasDependencies() || built || a.needsManager) {
		fetchManagers(file, images.Build, managerStage, releases)
	}
	stage := ""
	switch {
	case !a.layered():
		stage = a.renderWhole(file)
	case built:
		stage = a.renderBuild(file)
	case a.hasDependencies():
		a.renderDependencies(file, a.keepDev != "")
	}
	if a.site {
		return a.static.serve(file, images.Run, "build")
	}
	file.line("\nFROM %s", images.Run)
	if a.standalone {
		return a.lastStandalone(file, stage)
	}
	return a.last(file, stage)
}

// fetched lists the package managers that do not come with Node.js.
func (a *nodeApp) fetched() []string {
	var releases []string
	if a.manager.fetched() {
		releases = append(releases, a.manager.release())
	}
	for _, other := range a.others {
		release := manager{managerKind: other}
		release.version = release.writerOf("")
		releases = append(releases, release.release())
	}
	return releases
}

// managerStage holds a package manager that does not come with the language.
const managerStage = "manager"

// begin starts a stage that uses the package manager: from the stage that holds
// it, or from the image where it comes with Node.js.
func (a *nodeApp) begin(file *dockerfile, image, manager, stage string) {
	environment, programs := npmQuiet, "/app/node_modules/.bin:"
	if a.dir != "." {
		programs = a.home() + "/node_modules/.bin:" + programs
	}
	if len(a.fetched()) > 0 {
		file.line("\nFROM %s AS %s", manager, stage)
		file.variables()
		environment, programs = "", programs+"/manager/bin:"
	} else {
		file.from(image, stage)
	}
	words := []string{environment, a.manager.environment, "HUSKY=0", "PATH=" + programs + systemPath}
	words = slices.DeleteFunc(words, func(word string) bool { return word == "" })
	file.line("ENV %s", strings.Join(words, " "))
	file.line("WORKDIR /app")
}

// renderDependencies installs in a stage that depends on the manifests alone: as
// long as they do not change, it is not run again. What runs gets its
// node_modules, or those of the stage "pruned".
func (a *nodeApp) renderDependencies(file *dockerfile, keepDev bool) {
	a.begin(file, file.images.Build, managerStage, "dependencies")
	a.copyManifests(file)
	command := a.manager.installProduction()
	if keepDev || command == "" {
		command = a.manager.installAll()
	}
	file.run(command+" && mkdir -p node_modules", a.manager.mount())
	if !keepDev && a.manager.installProduction() == "" && a.prunes() {
		file.run(a.manager.prune, a.manager.mount())
	}
}

// copyManifests copies what installing depends on; each file is optional but the
// package.json of the app.
func (a *nodeApp) copyManifests(file *dockerfile) {
	names := []string{"package.json"}
	for _, name := range slices.Concat(a.manager.locks, a.manager.files) {
		if a.base.has(name) {
			names = append(names, name)
		}
	}
	file.line("COPY %s ./", strings.Join(names, " "))
	for _, name := range a.manager.files {
		if a.base.hasDir(name) {
			file.line("COPY %[1]s ./%[1]s", name)
		}
	}
	for _, name := range a.manifests() {
		file.line("COPY %s %s/", name, path.Dir(name))
	}
}

// renderBuild builds with all dependencies bound in, so that they stay out of
// the layer of the app's own files. It returns the stage that holds those.
func (a *nodeApp) renderBuild(file *dockerfile) string {
	mounts := []string{a.manager.mount()}
	if a.hasDependencies() {
		a.renderDependencies(file, true)
		mounts = append([]string{"--mount=type=bind,from=dependencies,source=/app/node_modules,target=/app/node_modules,rw"}, mounts...)
	}
	if a.hasDependencies() && a.prunes() {
		file.line("\nFROM dependencies AS pruned")
		file.variables()
		file.run(a.manager.prune, a.manager.mount())
	}
	a.begin(file, file.images.Build, managerStage, "build")
	file.line("COPY . ./")
	a.runBuild(file, mounts...)
	return "build"
}

// runBuild runs the build's steps, with the cache that the framework keeps.
func (a *nodeApp) runBuild(file *dockerfile, mounts ...string) {
	steps := a.buildSteps()
	cached := path.Join(a.home(), a.framework.cache)
	if a.framework.cache != "" && len(steps) > 0 {
		mounts = append(mounts, cache("framework", cached))
	}
	for _, step := range steps {
		file.run(step, mounts...)
	}
	if a.framework.cache != "" && !a.site {
		file.runTool("rm -rf " + cached + " && mkdir -p " + path.Dir(cached) + " && ln -s /tmp " + cached)
	}
}

// renderWhole builds in one line of stages: what install scripts write beside
// node_modules is part of the app, and a workspace has several node_modules. It
// returns the stage that holds the result.
func (a *nodeApp) renderWhole(file *dockerfile) string {
	a.begin(file, file.images.Build, managerStage, "dependencies")
	mount := a.manager.mount()
	fromSource := a.installsFromSource()
	if fromSource {
		file.line("COPY . ./")
	} else {
		a.copyManifests(file)
	}
	if a.manifest.Scripts["heroku-prebuild"] != "" {
		file.run(a.within(a.dir, a.manager.script("heroku-prebuild")), mount)
	}
	if a.hasDependencies() || fromSource {
		file.run(a.manager.installAll(), mount)
	}
	file.line("\nFROM dependencies AS build")
	file.variables()
	if !fromSource {
		file.line("COPY . ./")
	}
	a.runBuild(file, mount)
	if command := a.pruneWhole(); command != "" && a.prunes() && !a.site {
		file.run(command, mount)
	}
	if a.manifest.Scripts["heroku-cleanup"] != "" {
		file.run(a.within(a.dir, a.manager.script("heroku-cleanup")), mount)
	}
	return "build"
}

// pruneWhole drops dev dependencies of a workspace. pnpm and Bun look at its top
// alone, so that they install anew, from their caches, what runs.
func (a *nodeApp) pruneWhole() string {
	const everywhere = "find . -name node_modules -prune -exec rm -rf {} + && "
	switch {
	case len(a.members) == 0:
		return a.manager.prune
	case a.manager.name == "pnpm":
		only := ""
		if a.dir != "." {
			only = " --filter '{" + a.dir + "}...'"
		}
		return everywhere + a.manager.installProduction() + " --ignore-scripts" + only + " && CI=true pnpm rebuild" + only
	case a.manager.name == "bun":
		return everywhere + a.manager.installProduction() + " --ignore-scripts"
	}
	return a.manager.prune
}

// prunes reports whether dev dependencies are dropped from what runs.
func (a *nodeApp) prunes() bool {
	return a.manager.prune != "" && a.keepDev == "" && a.hasDevDependencies() && !a.site
}

// last is the image that runs the app with Node.js. Its files come from stage,
// or from the repository where nothing was built.
func (a *nodeApp) last(file *dockerfile, stage string) string {
	file.line("WORKDIR %s", a.home())
	if len(a.fetched()) > 0 && a.needsManager {
		file.line("COPY --from=manager /manager /manager")
	}
	if a.layered() && a.hasDependencies() {
		from := "dependencies"
		if stage != "" && a.prunes() {
			from = "pruned"
		}
		file.line("COPY --from=%s /app/node_modules ./node_modules", from)
	}
	if stage == "" {
		file.line("COPY . /app/")
	} else {
		file.line("COPY --from=%s /app /app/", stage)
	}
	return file.last(a.environment()...)
}

// environment is what every process gets. HOST is what many servers listen on,
// some of them on localhost alone without it.
func (a *nodeApp) environment() []string {
	programs := "/app/node_modules/.bin:"
	if a.dir != "." {
		programs = a.home() + "/node_modules/.bin:" + programs
	}
	environment := []string{"NODE_ENV=production", "HOST=0.0.0.0"}
	if a.needsManager && len(a.fetched()) > 0 {
		programs += "/manager/bin:"
		if a.manager.program == berryKind.program {
			environment = append(environment, "YARN_GLOBAL_FOLDER=/tmp/yarn", "YARN_ENABLE_TELEMETRY=0")
		}
	}
	environment = append(environment, a.framework.environment...)
	return append(environment, "PATH="+programs+systemPath)
}

// lastStandalone is the image of what Next.js gathers by "output: standalone",
// as its documentation copies it.
func (a *nodeApp) lastStandalone(file *dockerfile, stage string) string {
	file.line("WORKDIR /app")
	file.line("COPY --from=%s /app/.next/standalone ./", stage)
	file.line("COPY --from=%s /app/.next/static ./.next/static", stage)
	if a.src.hasDir("public") {
		file.line("COPY --from=%s /app/public ./public", stage)
	}
	file.line("COPY --from=%s /app/.next/cache ./.next/cache", stage)
	return file.last(a.environment()...)
}
