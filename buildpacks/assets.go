package buildpacks

// assets are what a package.json beside another language's manifest builds, such
// as the scripts and styles of a PHP or Python app.
type assets struct {
	node *nodeApp
}

// findAssets returns the assets of an app, or nil where it has none: a
// package.json counts when it has a build script. The plan gets the Node.js that
// they need, with the reason.
func findAssets(src source, plan *Plan) (*assets, error) {
	app := &nodeApp{src: src}
	present, err := src.readJSON("package.json", &app.manifest)
	if err != nil || !present || app.manifest.Scripts["build"] == "" {
		return nil, err
	}
	app.workspace = workspace{base: src, top: app.manifest, dir: "."}
	if app.manager, _, err = chooseManager(src, app.manifest); err != nil {
		return nil, err
	}
	need, err := nodeVersion(app)
	if err != nil {
		return nil, err
	}
	app.useOthers(app.reachable(app.manager.script("build")))
	plan.Tools = append(plan.Tools, *need)
	plan.Reasons = append(plan.Reasons, "assets: scripts.build in package.json")
	return &assets{node: app}, nil
}

// stage writes the stage "assets", whose /app is the app with what its scripts
// built, without node_modules. It returns what a COPY takes the app's files from:
// that stage, or the build context where there are no assets.
func (a *assets) stage(file *dockerfile) string {
	if a == nil {
		return "."
	}
	app := a.node
	image, manager := file.images.Tools["node"], "assets-manager"
	if releases := app.fetched(); len(releases) > 0 {
		fetchManagers(file, image, manager, releases)
	}
	app.begin(file, image, manager, "assets")
	if app.installsFromSource() {
		file.line("COPY . ./")
		file.run(app.manager.installAll(), app.manager.mount())
	} else {
		app.copyManifests(file)
		file.run(app.manager.installAll(), app.manager.mount())
		file.line("COPY . ./")
	}
	file.run(app.manager.script("build")+" && rm -rf node_modules", app.manager.mount())
	return "--from=assets /app"
}
