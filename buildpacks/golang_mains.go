package buildpacks

import (
	"errors"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// findMains lists the main packages to build: those that the app's variable
// GO_INSTALL_PACKAGE_SPEC or go.mod's comment for Heroku names, else those of
// each module: the root, and what is under cmd/; else wherever they are.
func (a *goApp) findMains(src source) error {
	for _, dir := range a.directories() {
		mains, err := mainPackages(src, dir)
		if err != nil {
			return err
		}
		a.mains = append(a.mains, mains...)
	}
	specs, from := src.options.Config["GO_INSTALL_PACKAGE_SPEC"], "GO_INSTALL_PACKAGE_SPEC"
	if specs == "" {
		specs, from = herokuComment(src, "install"), "go.mod's comment"
	}
	if specs != "" {
		if err := a.keep(src, strings.Fields(specs), from); err != nil {
			return err
		}
	}
	a.mains = a.distinct(a.mains)
	return nil
}

// directories are those of the modules, the root's first.
func (a *goApp) directories() []string {
	var dirs []string
	for dir := range a.modules {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}

// keep leaves the main packages that one of specs matches, in the order of
// specs. A spec that names a directory beside those is looked into as well.
func (a *goApp) keep(src source, specs []string, from string) error {
	var kept []string
	for _, spec := range specs {
		spec = a.directory(spec)
		found := slices.DeleteFunc(slices.Clone(a.mains), func(dir string) bool { return !matches(spec, dir) })
		if isMain, err := holdsMain(src, spec); err != nil {
			return err
		} else if isMain && len(found) == 0 {
			found = []string{spec}
		}
		if len(found) == 0 {
			return models.Errorf(models.Failed, "%s names %s, where no main package is", from, spec).WithField(from).
				WithRemedy("name a directory such as ./cmd/web, or ./cmd/... for all under it")
		}
		kept = append(kept, found...)
	}
	a.mains = slices.Compact(kept)
	return nil
}

// directory turns an import path of the root module, or a relative one, into a
// directory.
func (a *goApp) directory(spec string) string {
	if module := a.modules["."]; spec == module || strings.HasPrefix(spec, module+"/") {
		spec = strings.TrimPrefix(strings.TrimPrefix(spec, module), "/")
	}
	return path.Clean(strings.TrimPrefix(spec, "./"))
}

// matches reports whether the go command's pattern, which may end in "...",
// means dir.
func matches(pattern, dir string) bool {
	prefix, all := strings.CutSuffix(pattern, "...")
	if !all {
		return pattern == dir
	}
	prefix = strings.TrimSuffix(prefix, "/")
	return prefix == "" || prefix == dir || strings.HasPrefix(dir, prefix+"/")
}

// binary names a main package's result as `go install` does.
func (a *goApp) binary(dir string) string {
	module, isModule := a.modules[dir]
	if !isModule {
		return path.Base(dir)
	}
	name := path.Base(module)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" && path.Dir(module) != "." {
		return path.Base(path.Dir(module))
	}
	return name
}

// distinct leaves out main packages whose binary would overwrite an earlier
// one's.
func (a *goApp) distinct(mains []string) []string {
	taken := map[string]bool{}
	return slices.DeleteFunc(mains, func(dir string) bool {
		name := a.binary(dir)
		before := taken[name]
		taken[name] = true
		return before
	})
}

// mainPackages lists the main packages of the module in dir: its root and those
// under cmd/, or where there are none, all others.
func mainPackages(src source, dir string) ([]string, error) {
	mains, err := walkMains(src, dir, func(name string) bool {
		return name == dir || name == path.Join(dir, "cmd") || strings.HasPrefix(name, path.Join(dir, "cmd")+"/")
	})
	if err != nil || len(mains) > 0 {
		return mains, err
	}
	return walkMains(src, dir, func(string) bool { return true })
}

// walkMains lists the directories of a module that hold package main and that
// want accepts, as deep as they are.
func walkMains(src source, root string, want func(string) bool) ([]string, error) {
	var mains []string
	err := fs.WalkDir(src.files, root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case !want(name) || (name != root && otherCode(src, name)):
			return fs.SkipDir
		}
		isMain, err := holdsMain(src, name)
		if isMain {
			mains = append(mains, name)
		}
		return err
	})
	if err != nil {
		return nil, models.Errorf(models.Internal, "look for main packages: %w", err)
	}
	return mains, nil
}

// otherCode reports whether the go command leaves a directory out of the module
// around it, or people mean nothing to be run in it.
func otherCode(src source, dir string) bool {
	name := path.Base(dir)
	return name[0] == '.' || name[0] == '_' || src.has(path.Join(dir, "go.mod")) ||
		slices.Contains([]string{"vendor", "testdata", "node_modules", "examples", "example"}, name)
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
	linux.GOOS, linux.CgoEnabled, linux.BuildTags = "linux", src.options.Config["CGO_ENABLED"] == "1", nil
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
