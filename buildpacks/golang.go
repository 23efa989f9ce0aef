package buildpacks

import (
	"bufio"
	"io/fs"
	"path"
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
	if app.mains, err = mainPackages(src); err != nil {
		return nil, err
	}
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
		if packageClause(text) == "main" && !strings.Contains(text, "//go:build ignore") {
			return true, nil
		}
	}
	return false, nil
}

// packageClause returns the name in the first line that begins with "package".
func packageClause(text string) string {
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, maxManifest)
	for scanner.Scan() {
		if name, ok := strings.CutPrefix(scanner.Text(), "package "); ok {
			name, _, _ = strings.Cut(name, "//")
			return strings.TrimSpace(name)
		}
	}
	return ""
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
	return file.last()
}
