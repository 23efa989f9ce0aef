package buildpacks

import (
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/skypanel/sky/models"
	"golang.org/x/mod/modfile"
)

// goApp is a Go repository: its module and the directories that hold a main
// package.
type goApp struct {
	module string
	mains  []string
}

func detectGo(src source) (*Plan, error) {
	text, ok, err := src.read("go.mod")
	if err != nil || !ok {
		return nil, err
	}
	file, err := modfile.ParseLax("go.mod", []byte(text), nil)
	if err != nil || file.Module == nil {
		return nil, models.Errorf(models.Failed, "go.mod cannot be read: %v", err).WithField("go.mod").
			WithRemedy("run `go mod tidy` and commit what it writes")
	}
	app := goApp{module: file.Module.Mod.Path}
	mains, err := mainPackages(src)
	if err != nil {
		return nil, err
	}
	app.mains = app.distinct(mains)
	plan := &Plan{
		Language: "Go", Reasons: []string{"go.mod"}, Port: defaultPort,
		Need: &Requirement{Type: "go"}, Render: app.render, Processes: models.Processes{},
	}
	if file.Go != nil { // the go command fetches newer toolchains itself
		plan.Need.Constraint, plan.Need.Source = ">="+majorMinor(file.Go.Version), "go line in go.mod"
	}
	return plan, app.choose(src, plan)
}

// majorMinor shortens "1.22.3" to "1.22".
func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return version
	}
	return parts[0] + "." + parts[1]
}

// choose decides which binary is the web process.
func (a goApp) choose(src source, plan *Plan) error {
	switch {
	case len(a.mains) == 0:
		return models.Errorf(models.Failed, "go.mod is there, but no main package in the root or under cmd/").
			WithRemedy("add a main package, or a Dockerfile")
	case a.mains[0] == "." || len(a.mains) == 1:
		plan.Processes[models.WebProcess] = []string{"/app/bin/" + a.binary(a.mains[0])}
		plan.Reasons = append(plan.Reasons, "main package: "+a.mains[0])
	case src.has("Procfile"):
		plan.Reasons = append(plan.Reasons, "main packages: "+strings.Join(a.mains, ", "))
	default:
		return models.Errorf(models.Failed, "several main packages: %s", strings.Join(a.mains, ", ")).
			WithRemedy("add a Procfile that starts one, such as `web: bin/%s`", a.binary(a.mains[0]))
	}
	return nil
}

// binary names a main package's result as `go install` does.
func (a goApp) binary(dir string) string {
	if dir != "." {
		return path.Base(dir)
	}
	name := path.Base(a.module)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" && path.Dir(a.module) != "." {
		return path.Base(path.Dir(a.module))
	}
	return name
}

// distinct leaves out main packages whose binary would overwrite an earlier
// one's.
func (a goApp) distinct(mains []string) []string {
	taken := map[string]bool{}
	return slices.DeleteFunc(mains, func(dir string) bool {
		name := a.binary(dir)
		before := taken[name]
		taken[name] = true
		return before
	})
}

// mainPackages lists the root and the directories under cmd/ that hold package
// main, the root first.
func mainPackages(src source) ([]string, error) {
	dirs := []string{"."}
	entries, err := fs.ReadDir(src.files, "cmd")
	if err == nil {
		for _, entry := range entries {
			if entry.IsDir() {
				dirs = append(dirs, "cmd/"+entry.Name())
			}
		}
		dirs = append(dirs, "cmd")
	}
	var mains []string
	for _, dir := range dirs {
		isMain, err := holdsMain(src, dir)
		if err != nil {
			return nil, err
		}
		if isMain {
			mains = append(mains, dir)
		}
	}
	sort.SliceStable(mains, func(i, j int) bool { return mains[i] == "." && mains[j] != "." })
	return mains, nil
}

func holdsMain(src source, dir string) (bool, error) {
	linux := onLinux(src)
	files, err := fs.Glob(src.files, path.Join(dir, "*.go"))
	if err != nil {
		return false, models.Errorf(models.Internal, "list Go files: %w", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, _, err := src.read(name)
		if err != nil {
			return false, err
		}
		included, err := linux.MatchFile(dir, path.Base(name))
		if err == nil && included && packageClause(text) == "main" {
			return true, nil
		}
	}
	return false, nil
}

// onLinux answers which files of src the go command compiles in our build stage:
// build constraints and names such as x_windows.go leave some out.
func onLinux(src source) build.Context {
	linux := build.Default
	linux.GOOS, linux.CgoEnabled, linux.BuildTags = "linux", false, nil
	linux.OpenFile = func(name string) (io.ReadCloser, error) { return src.files.Open(name) }
	return linux
}

// packageClause returns the name of the file's package, or "".
func packageClause(text string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return file.Name.Name
}

func (a goApp) render(images Images) string {
	file := render(images)
	if images.GoSeed {
		file.line("\nFROM %s AS seed", images.Build)
	}
	file.from(images.Build, "build")
	file.line("ENV GOCACHE=/cache/go-build GOMODCACHE=/cache/go-mod CGO_ENABLED=0 GOFLAGS=-buildvcs=false")
	file.line("WORKDIR /src")
	file.line("COPY . ./")
	compiled := cache("go-build", "/cache/go-build")
	if images.GoSeed {
		compiled += ",from=seed,source=/go-seed"
	}
	targets := make([]string, 0, len(a.mains))
	for _, dir := range a.mains {
		targets = append(targets, "-o /out/bin/"+a.binary(dir)+" ./"+strings.TrimPrefix(dir, "."))
	}
	command := "go build -trimpath " + strings.Join(targets, " && go build -trimpath ")
	file.run(command, compiled, cache("go-mod", "/cache/go-mod"))
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	file.line("COPY . ./")
	file.line("COPY --from=build /out ./")
	return file.last("PATH=/app/bin:" + systemPath)
}
