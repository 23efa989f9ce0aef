package buildpacks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoDockerfiles(t *testing.T) {
	checkGoldens(t, map[string]goldenCase{
		"go-root": {
			files: repo{"go.mod": "module example.com/hello/v2\n\ngo 1.25.3\n", "main.go": goMain},
			web:   []string{"/app/bin/hello"}, reasons: "go.mod; go1.25.3 or newer from the go line in go.mod; main package: .",
		},
		"go-seed-and-ca": {
			files:  repo{"go.mod": "module hello\n", "main.go": goMain},
			images: Images{ExtraCA: true, GoSeed: true},
			web:    []string{"/app/bin/hello"}, reasons: "go.mod; main package: .",
		},
		"go-only-command": {
			files: repo{"go.mod": "module example.com/hello\n", "lib.go": "package hello\n", "cmd/shop/main.go": goMain},
			web:   []string{"/app/bin/shop"}, reasons: "go.mod; main package: cmd/shop",
		},
		"go-commands-and-procfile": {
			files: repo{
				"go.mod": "module example.com/hello\n", "cmd/shop/main.go": goMain, "cmd/work/main.go": goMain,
				"Procfile": "web: shop -v\nworker: bin/work\n",
			},
			web: []string{"shop", "-v"}, reasons: "go.mod; main packages: cmd/shop, cmd/work; processes from Procfile: web, worker",
		},
		"go-cgo-and-toolchain": {
			files: repo{
				"go.mod": "module hello\n\ngo 1.24\n\nrequire github.com/mattn/go-sqlite3 v1.14.28\n", "main.go": goMain,
				".tool-versions": "golang 1.24.3\n", "vendor/modules.txt": "",
			},
			images:  Images{GoSeed: true},
			web:     []string{"/app/bin/hello"},
			reasons: "go.mod; go1.24.3 from .tool-versions; cgo for github.com/mattn/go-sqlite3; main package: .",
		},
		"go-workspace": {
			files: repo{
				"go.work": "go 1.26\n\nuse (\n\t./api\n\t./lib\n)\n", "lib/go.mod": "module example.com/lib", "lib/l.go": "package lib",
				"api/go.mod": "module example.com/api", "api/main.go": goMain,
			},
			web: []string{"/app/bin/api"}, reasons: "go.work; main package: api",
		},
		"go-in-directory": {
			files: repo{
				"go.work": "use ./api\nuse ./lib\n", "lib/go.mod": "module example.com/lib",
				"api/go.mod": "module example.com/api\ngo 1.26\nreplace example.com/lib => ../lib\n", "api/main.go": goMain,
			},
			options: Options{Root: "api"},
			web:     []string{"/app/bin/api"},
			reasons: "go.mod; go1.26 or newer from the go line in go.mod; built with the whole repository, of which it uses other modules; main package: .",
		},
		"go-unversioned": {
			files: repo{"main.go": goMain}, web: []string{"/app/bin/app"},
			reasons: "main.go; no go.mod: versions may change between builds; main package: .",
		},
		"go-assets-and-credentials": {
			files: repo{
				"go.mod": "module hello\n", "main.go": goMain, "package-lock.json": "{}",
				"package.json": `{"scripts": {"build": "esbuild"}, "devDependencies": {"esbuild": "1"}}`,
			},
			options: Options{Config: map[string]string{"GO_GIT_CRED__HTTPS__GIT__EXAMPLE__COM": "me:secret"}},
			images:  Images{Tools: map[string]string{"node": "node:1"}, Variables: true},
			web:     []string{"/app/bin/hello"}, reasons: "go.mod; assets: scripts.build in package.json; main package: .",
		},
		"go-command": {
			files:   repo{"go.mod": "module hello\n", "a/m.go": goMain, "b/m.go": goMain},
			options: Options{BuildCommand: "make", StartCommand: "bin/a"},
			web:     []string{"bin/a"}, reasons: "go.mod; built by the app's build command; web: the app's start command",
		},
	})
}

func TestGoRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		files   repo
		config  map[string]string
		message string
		remedy  string
	}{
		"no main":       {repo{"go.mod": "module x", "x.go": "package x"}, nil, "no main package", "Dockerfile"},
		"ambiguous":     {repo{"go.mod": "module x", "cmd/a/m.go": goMain, "cmd/b/m.go": goMain}, nil, "several main packages: cmd/a, cmd/b", "web: bin/a"},
		"damaged":       {repo{"go.mod": "modul x", "main.go": goMain}, nil, "go.mod cannot be read", "go mod tidy"},
		"work damaged":  {repo{"go.work": "usse x"}, nil, "go.work cannot be read", "go work sync"},
		"work of none":  {repo{"go.work": "use ./a"}, nil, "go.work uses a, which has no go.mod", "go work use -r ."},
		"dep":           {repo{"main.go": goMain, "Gopkg.lock": ""}, nil, "Gopkg.lock belongs to a package manager", "go mod init"},
		"wrong package": {repo{"go.mod": "module x", "main.go": goMain}, map[string]string{"GO_INSTALL_PACKAGE_SPEC": "./cmd/..."}, "GO_INSTALL_PACKAGE_SPEC names cmd/...", "./cmd/web"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefusal(t, test.files, Options{Config: test.config}, test.message, test.remedy)
		})
	}
}

func TestGoMains(t *testing.T) {
	const module = "module example.com/hello\n"
	for name, test := range map[string]struct {
		files repo
		mains []string
	}{
		"constraint":    {repo{"main.go": "//go:build mage\n\npackage main\n", "cmd/a/m.go": goMain}, []string{"cmd/a"}},
		"other system":  {repo{"main_windows.go": goMain, "cmd/a/m.go": goMain}, []string{"cmd/a"}},
		"tests":         {repo{"main_test.go": goMain, "cmd/a/m.go": goMain}, []string{"cmd/a"}},
		"comment":       {repo{"doc.go": "/*\npackage main of sorts\n*/\npackage x\n", "cmd/a/m.go": goMain}, []string{"cmd/a"}},
		"quoted ignore": {repo{"main.go": "package main\n\nconst a = \"//go:build ignore\"\n"}, []string{"."}},
		"same binary":   {repo{"main.go": goMain, "cmd/hello/m.go": goMain, "cmd/b/m.go": goMain}, []string{".", "cmd/b"}},
		"cmd itself":    {repo{"cmd/main.go": goMain}, []string{"cmd"}},
		"root first":    {repo{"cmd/a/m.go": goMain, "x.go": goMain}, []string{".", "cmd/a"}},
		"deep in cmd":   {repo{"cmd/a/b/m.go": goMain, "tools/m.go": goMain}, []string{"cmd/a/b"}},
		"elsewhere":     {repo{"src/web/m.go": goMain, "examples/x/m.go": goMain, "vendor/y/m.go": goMain, "z/go.mod": "module z", "z/m.go": goMain}, []string{"src/web"}},
		"spec": {repo{"go.mod": module + "// +heroku install ./cmd/... example.com/hello/tools/x\n", "main.go": goMain, "cmd/a/m.go": goMain, "tools/x/m.go": goMain},
			[]string{"cmd/a", "tools/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.files["go.mod"] == "" {
				test.files["go.mod"] = module
			}
			app := goApp{modules: map[string]string{".": "example.com/hello"}}
			require.NoError(t, app.findMains(source{files: test.files.fs()}))
			require.Equal(t, test.mains, app.mains)
		})
	}
}

// TestGoToolchains: a release named in full is fetched, and a release line is
// what any newer Go can build.
func TestGoToolchains(t *testing.T) {
	for name, test := range map[string]struct {
		files     repo
		config    map[string]string
		toolchain string
		want      Requirement
	}{
		"go line":     {repo{"go.mod": "module x\ngo 1.99\n"}, nil, "", Requirement{Type: "go"}},
		"variable":    {repo{"go.mod": "module x\n"}, map[string]string{"GO_VERSION": "1.22"}, "", Requirement{"go", "1.22", "GO_VERSION"}},
		"full":        {repo{"go.mod": "module x\n"}, map[string]string{"GO_VERSION": "1.22.1"}, "go1.22.1", Requirement{Type: "go"}},
		"line only":   {repo{"go.mod": "module x\n", ".go-version": "1.22\n"}, nil, "", Requirement{Type: "go"}},
		".go-version": {repo{"go.mod": "module x\n", ".go-version": "1.22.1\n"}, nil, "go1.22.1", Requirement{Type: "go"}},
		"heroku":      {repo{"go.mod": "module x\n// +heroku goVersion go1.23.4\n"}, nil, "go1.23.4", Requirement{Type: "go"}},
	} {
		t.Run(name, func(t *testing.T) {
			src := source{files: test.files.fs(), options: Options{Config: test.config}}
			file, err := readModule(src, ".")
			require.NoError(t, err)
			app, plan := goApp{}, &Plan{}
			require.NoError(t, app.version(src, file, plan))
			require.Equal(t, test.toolchain, app.toolchain)
			require.Equal(t, test.want, *plan.Need)
		})
	}
}
