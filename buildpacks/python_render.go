package buildpacks

import (
	"path"
	"strings"
)

func (a *pythonApp) render(images Images) string {
	file := render(images)
	a.renderDependencies(file)
	files := a.assets.stage(file)
	if a.collect != "" || a.src.options.BuildCommand != "" {
		a.renderBuild(file, files)
		files = "--from=build /app"
	}
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	if a.installs() {
		file.line("COPY --from=dependencies /venv /venv")
	}
	file.line("COPY %s ./", files)
	if a.has("python-fasthtml") { // which writes its key beside the app
		file.line("RUN ln -s /tmp/.sesskey .sesskey")
	}
	environment := []string{"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}
	if a.has("gradio") {
		environment = append(environment, "GRADIO_SERVER_NAME=0.0.0.0")
	}
	return file.last(append(environment, "VIRTUAL_ENV=/venv PATH=/venv/bin:"+systemPath)...)
}

// installs reports whether there is anything to install.
func (a *pythonApp) installs() bool { return a.manager.install != "" || a.server != "" }

// renderDependencies installs in a stage that depends on the manifests alone,
// with a package manager from a stage that all apps share.
func (a *pythonApp) renderDependencies(file *dockerfile) {
	if !a.installs() {
		return
	}
	file.tool(file.images.Build, "manager")
	programs := "--upgrade pip"
	if a.manager.program != "pip" {
		programs += " '" + a.manager.program + "'"
	}
	file.runTool("python3 -m venv /manager && /manager/bin/pip install --no-cache-dir --disable-pip-version-check " + programs)
	file.line("\nFROM manager AS dependencies")
	file.variables()
	file.line("ENV %s PATH=/venv/bin:/manager/bin:%s", strings.TrimSpace(a.manager.environment+" "+pipQuiet+" "+sameBytecode), systemPath)
	file.line("WORKDIR /app")
	mount := cache("python", "/cache/python")
	switch {
	case a.manager.whole:
		file.line("COPY . ./")
	case len(a.manager.manifests) > 0:
		a.copyManifests(file)
	}
	if a.manager.install != "" {
		file.run(a.manager.install, mount)
	} else {
		file.run(makeVenv)
	}
	if a.manager.self != "" {
		if !a.manager.whole {
			file.line("COPY . ./")
		}
		file.run(a.manager.self, mount)
	}
	if a.server != "" {
		file.run(pipInto+a.server, mount)
	}
}

// sameBytecode has compiled files hold a hash of their source instead of its time
// (PEP 552), so that installing again makes the same.
const sameBytecode = "SOURCE_DATE_EPOCH=315532800"

// copyManifests copies lists to where they are: one COPY for each directory.
func (a *pythonApp) copyManifests(file *dockerfile) {
	groups, order := map[string][]string{}, []string{}
	for _, name := range a.manager.manifests {
		dir := path.Dir(name)
		if groups[dir] == nil {
			order = append(order, dir)
		}
		groups[dir] = append(groups[dir], name)
	}
	for _, dir := range order {
		target := "./"
		if dir != "." {
			target = dir + "/"
		}
		file.line("COPY %s %s", strings.Join(groups[dir], " "), target)
	}
}

// renderBuild runs what the app needs before it starts, with all of its files.
func (a *pythonApp) renderBuild(file *dockerfile, files string) {
	if a.installs() {
		file.line("\nFROM dependencies AS build")
		file.variables()
	} else {
		file.from(file.images.Build, "build")
		file.line("WORKDIR /app")
	}
	file.line("COPY %s ./", files)
	if command := a.src.options.BuildCommand; command != "" {
		file.run(command)
	}
	if a.collect != "" {
		file.run(collectStatic(a.collect))
	}
}

// collectStatic gathers Django's static files. Settings often insist on a secret
// and a database; where the app's config gives none, gathering does with any.
func collectStatic(dir string) string {
	const settings = `export SECRET_KEY="${SECRET_KEY:-only-to-build}" DJANGO_SECRET_KEY="${DJANGO_SECRET_KEY:-only-to-build}"` +
		` DATABASE_URL="${DATABASE_URL:-sqlite:////tmp/build.db}"`
	return settings + " && cd " + path.Join("/app", dir) + " && { python manage.py collectstatic --noinput || { echo 'sky: collectstatic failed'; exit 1; }; }"
}
