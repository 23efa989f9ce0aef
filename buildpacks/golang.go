package buildpacks

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
	"golang.org/x/mod/modfile"
)

// goApp is a Go repository: its modules and the directories that hold a main
// package.
type goApp struct {
	// modules maps the directories of its modules to their paths: one, or those
	// that a workspace uses.
	modules map[string]string
	mains   []string
	// dir is the app's directory in the build context; "." but for one that uses
	// modules beside it.
	dir string
	// unversioned says that there is no go.mod; vendored that vendor/ holds the
	// dependencies.
	unversioned, vendored, cgo bool
	// toolchain is the Go that the go command fetches and uses, such as
	// "go1.24.3"; empty for the image's, or a newer one where go.mod needs it.
	toolchain string
	command   string // in place of go build
	assets    *assets
	// credentials are variables that hold a user and password for a host of
	// private modules.
	credentials []string
}

func detectGo(src source) (*Plan, error) {
	evidence := src.first("go.work", "go.mod", "main.go", ".godir")
	if evidence == "" {
		return nil, nil
	}
	app := goApp{dir: ".", modules: map[string]string{}, command: src.options.BuildCommand, vendored: src.has("vendor/modules.txt")}
	plan := &Plan{Language: "Go", Reasons: []string{evidence}, Port: defaultPort, Processes: models.Processes{}}
	file, err := app.readModules(src, evidence)
	if err != nil {
		return nil, err
	}
	if err := app.version(src, file, plan); err != nil {
		return nil, err
	}
	app.native(src, file, plan)
	app.place(src, file, plan)
	app.credentials = gitCredentials(src)
	if err := app.findMains(src); err != nil {
		return nil, err
	}
	if app.dir == "." {
		if app.assets, err = findAssets(src, plan); err != nil {
			return nil, err
		}
	}
	plan.Render = app.render
	return plan, app.choose(src, plan)
}

// readModules reads go.mod, or every one that go.work uses, and returns the
// root's; it is empty where the root has none.
func (a *goApp) readModules(src source, evidence string) (*modfile.File, error) {
	dirs := []string{"."}
	if evidence == "go.work" {
		text, _, err := src.read("go.work")
		if err != nil {
			return nil, err
		}
		work, err := modfile.ParseWork("go.work", []byte(text), nil)
		if err != nil {
			return nil, models.Errorf(models.Failed, "go.work cannot be read: %v", err).WithField("go.work").
				WithRemedy("run `go work sync` and commit what it writes")
		}
		dirs = nil
		for _, use := range work.Use {
			dirs = append(dirs, path.Clean(use.Path))
		}
	}
	root := &modfile.File{}
	for _, dir := range dirs {
		file, err := readModule(src, dir)
		switch {
		case err != nil:
			return nil, err
		case file == nil && evidence == "go.work":
			return nil, models.Errorf(models.Failed, "go.work uses %s, which has no go.mod", dir).WithField("go.work").
				WithRemedy("run `go work use -r .` and commit what it writes")
		case file == nil:
			name, err := src.line(".godir") // as Heroku's buildpack had it before modules
			if err != nil {
				return nil, err
			}
			a.unversioned, a.modules[dir] = true, cmp.Or(name, "app")
			return root, unmanaged(src)
		}
		a.modules[dir] = file.Module.Mod.Path
		if dir == "." {
			root = file
		}
	}
	return root, nil
}

func readModule(src source, dir string) (*modfile.File, error) {
	name := path.Join(dir, "go.mod")
	text, ok, err := src.read(name)
	if err != nil || !ok {
		return nil, err
	}
	file, err := modfile.ParseLax(name, []byte(text), nil)
	if err != nil || file.Module == nil {
		return nil, models.Errorf(models.Failed, "%s cannot be read: %v", name, err).WithField(name).
			WithRemedy("run `go mod tidy` and commit what it writes")
	}
	return file, nil
}

// unmanaged refuses the package managers from before modules.
func unmanaged(src source) error {
	if name := src.first("Gopkg.lock", "Gopkg.toml", "Godeps/Godeps.json", "glide.yaml", "vendor/vendor.json"); name != "" {
		return models.Errorf(models.Failed, "%s belongs to a package manager from before Go modules", name).WithField(name).
			WithRemedy("run `go mod init NAME && go mod tidy` and commit go.mod and go.sum")
	}
	return nil
}

var (
	goRelease = regexp.MustCompile(`^(?:go)?(1\.\d+\.\d+)$`)
	// herokuLine matches the comments that Heroku's buildpack reads in go.mod.
	herokuLine = regexp.MustCompile(`(?m)^\s*//\s*\+heroku\s+(\w+)\s+(.*)$`)
)

// herokuComment returns what go.mod's comment "+heroku word" says.
func herokuComment(src source, word string) string {
	text, _, _ := src.read("go.mod") // read before, or there is none
	for _, match := range herokuLine.FindAllStringSubmatch(text, -1) {
		if match[1] == word {
			return strings.TrimPrefix(strings.TrimSpace(match[2]), "go")
		}
	}
	return ""
}

// version decides on a toolchain. What builds with an old Go builds with a newer
// one, so that no file can ask for a Runtime that there is none of: a release
// that is named in full is fetched, as one that go.mod needs is.
func (a *goApp) version(src source, file *modfile.File, plan *Plan) error {
	own, err := src.line(".go-version")
	if err != nil {
		return err
	}
	need, err := src.requirement("go", wish{own, ".go-version"}, wish{herokuComment(src, "goVersion"), "go.mod's comment"})
	if err != nil {
		return err
	}
	plan.Need = &Requirement{Type: "go"}
	match := goRelease.FindStringSubmatch(strings.TrimSpace(need.Constraint))
	switch {
	case match != nil:
		a.toolchain = "go" + match[1]
		plan.Reasons = append(plan.Reasons, a.toolchain+" from "+need.Source)
	case need.Source == "GO_VERSION":
		plan.Need = need
	case a.unversioned:
		plan.Reasons = append(plan.Reasons, "no go.mod: versions may change between builds")
	case file.Toolchain != nil:
		plan.Reasons = append(plan.Reasons, file.Toolchain.Name+" or newer from the toolchain line in go.mod")
	case file.Go != nil:
		plan.Reasons = append(plan.Reasons, "go"+file.Go.Version+" or newer from the go line in go.mod")
	}
	return nil
}

// native decides on cgo: off, so that the binary needs nothing of the system,
// unless the app's config or a package that is empty without it wants it.
func (a *goApp) native(src source, file *modfile.File, plan *Plan) {
	switch src.options.Config["CGO_ENABLED"] {
	case "1":
		a.cgo = true
		plan.Reasons = append(plan.Reasons, "cgo from CGO_ENABLED")
		return
	case "0":
		return
	}
	for _, require := range file.Require {
		if require.Mod.Path == "github.com/mattn/go-sqlite3" {
			a.cgo = true
			plan.Reasons = append(plan.Reasons, "cgo for "+require.Mod.Path)
		}
	}
}

// place gives the build the whole repository where the app's module uses others
// that lie above its own directory.
func (a *goApp) place(src source, file *modfile.File, plan *Plan) {
	if src.root == "." {
		return
	}
	outside := false
	for _, replace := range file.Replace {
		outside = outside || strings.HasPrefix(replace.New.Path, "../")
	}
	above := source{files: src.repository}
	if outside || above.has("go.work") {
		plan.Context, a.dir = ".", src.root
		plan.Reasons = append(plan.Reasons, "built with the whole repository, of which it uses other modules")
	}
}

// choose decides which binary is the web process.
func (a *goApp) choose(src source, plan *Plan) error {
	switch {
	case a.command != "" && len(a.mains) != 1:
		plan.Reasons = append(plan.Reasons, "built by "+src.whoseBuild+" build command")
	case len(a.mains) == 0:
		return models.Errorf(models.Failed, "there are Go files, but no main package").
			WithRemedy("add a main package, or a Dockerfile")
	case a.mains[0] == "." || len(a.mains) == 1:
		plan.Processes[models.WebProcess] = []string{"/app/bin/" + a.binary(a.mains[0])}
		plan.Reasons = append(plan.Reasons, "main package: "+a.mains[0])
	case src.has("Procfile") || src.options.StartCommand != "":
		plan.Reasons = append(plan.Reasons, "main packages: "+strings.Join(a.mains, ", "))
	default:
		return models.Errorf(models.Failed, "several main packages: %s", strings.Join(a.mains, ", ")).
			WithRemedy("add a Procfile that starts one, such as `web: bin/%s`, or set GO_INSTALL_PACKAGE_SPEC=./%s",
				a.binary(a.mains[0]), a.mains[0])
	}
	return nil
}

// gitCredential matches the names of variables that hold a user and password
// for a git server, as Heroku's buildpack names them.
var gitCredential = regexp.MustCompile(`^GO_GIT_CRED__(HTTPS?)__([A-Z0-9_]+)$`)

func gitCredentials(src source) []string {
	var names []string
	for name := range src.options.Config {
		if gitCredential.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// gitSetup makes git send the credentials, by its environment alone: nothing of
// them is left in the image.
func (a *goApp) gitSetup() string {
	if len(a.credentials) == 0 {
		return ""
	}
	text := fmt.Sprintf("export GIT_CONFIG_COUNT=%d", len(a.credentials))
	for number, name := range a.credentials {
		match := gitCredential.FindStringSubmatch(name)
		scheme, host := strings.ToLower(match[1]), strings.ToLower(strings.ReplaceAll(match[2], "__", "."))
		text += fmt.Sprintf(" GIT_CONFIG_KEY_%d=\"url.%s://${%s}@%s/.insteadOf\" GIT_CONFIG_VALUE_%d=%s://%s/",
			number, scheme, name, host, number, scheme, host)
	}
	return text + " && "
}

func (a *goApp) render(images Images) string {
	file := render(images)
	if images.GoSeed && !a.cgo {
		file.line("\nFROM %s AS seed", images.Build)
	}
	context := a.assets.stage(file)
	file.from(images.Build, "build")
	file.line("ENV GOCACHE=/cache/go-build GOMODCACHE=/cache/go-mod %s", a.environment())
	file.line("WORKDIR /src")
	file.line("COPY %s ./", context)
	if a.dir != "." {
		file.line("WORKDIR /src/%s", a.dir)
	}
	compiled := cache("go-build", "/cache/go-build")
	if images.GoSeed && !a.cgo {
		compiled += ",from=seed,source=/go-seed"
	}
	file.run(a.gitSetup()+a.build(), compiled, cache("go-mod", "/cache/go-mod"))
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	switch {
	case a.command != "":
		file.line("COPY --from=build %s ./", path.Join("/src", a.dir))
	case a.assets != nil:
		file.line("COPY --from=assets /app ./\nCOPY --from=build /out ./")
	default:
		file.line("COPY %s ./\nCOPY --from=build /out ./", a.dir)
	}
	return file.last("PATH=/app/bin:" + systemPath)
}

func (a *goApp) environment() string {
	environment := "CGO_ENABLED=0"
	if a.cgo {
		environment = "CGO_ENABLED=1"
	}
	if a.toolchain != "" {
		environment += " GOTOOLCHAIN=" + a.toolchain
	}
	return environment
}

// build is the command that compiles every main package into /out/bin.
func (a *goApp) build() string {
	if a.command != "" {
		return a.command
	}
	command := "go build -trimpath -buildvcs=false"
	if a.vendored {
		command += " -mod=vendor"
	}
	command += " -o /out/bin/"
	for _, dir := range a.mains {
		command += " ./" + strings.TrimPrefix(dir, ".")
	}
	if a.unversioned {
		return "go mod init " + a.modules["."] + " && go mod tidy && " + command
	}
	return command
}
