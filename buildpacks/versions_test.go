package buildpacks

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestWhichVersion(t *testing.T) {
	own := func(constraint string) wish { return wish{constraint, "package.json"} }
	for name, test := range map[string]struct {
		files  repo
		config map[string]string
		own    []wish
		want   Requirement
	}{
		"nothing asks":         {repo{}, nil, nil, Requirement{Type: "node"}},
		"its own file":         {repo{}, nil, []wish{own(""), own("22.x")}, Requirement{"node", "22.x", "package.json"}},
		"tool-versions":        {repo{".tool-versions": "ruby 3.1\nnodejs 22.4.0\n"}, nil, []wish{own(">=20")}, Requirement{"node", "22.4.0", ".tool-versions"}},
		"mise":                 {repo{"mise.toml": "[tools]\nnode = \"22\"\n"}, nil, []wish{own("22.1.0")}, Requirement{"node", "22", "mise.toml"}},
		"mise with a list":     {repo{".mise.toml": "[tools]\nnode = ['20', '22']\n"}, nil, nil, Requirement{"node", "20", ".mise.toml"}},
		"mise with a table":    {repo{"mise.toml": "[tools]\nnode = {version = '20'}\n"}, nil, nil, Requirement{"node", "20", "mise.toml"}},
		"variable":             {repo{".tool-versions": "nodejs 18\n"}, map[string]string{"NODE_VERSION": "22"}, nil, Requirement{"node", "22", "NODE_VERSION"}},
		"range and its member": {repo{}, nil, []wish{own("^20.1"), {"20", ".nvmrc"}}, Requirement{"node", "^20.1", "package.json"}},
		"a name":               {repo{}, nil, []wish{own("lts/jod"), {"20", ".nvmrc"}}, Requirement{"node", "lts/jod", "package.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := newSource(test.files.fs(), Options{Config: test.config})
			require.NoError(t, err)
			got, err := src.requirement("node", test.own...)
			require.NoError(t, err)
			require.Equal(t, test.want, *got)
		})
	}
}

func TestContradictingVersionsNameBothFiles(t *testing.T) {
	for _, pair := range [][2]string{{"20", "22"}, {"20.1.0", "20.2"}, {">=22", "20.11.0"}, {"20", "^22"}} {
		src, err := newSource(repo{".tool-versions": "nodejs " + pair[0] + "\n"}.fs(), Options{})
		require.NoError(t, err)
		_, err = src.requirement("node", wish{pair[1], "engines.node"})
		refused := models.AsError(err)
		require.NotNil(t, refused, pair)
		require.Equal(t, models.Failed, refused.Code)
		require.Contains(t, refused.Message, ".tool-versions asks for "+pair[0]+", but engines.node for "+pair[1])
	}
}

func TestRootDirectory(t *testing.T) {
	both := repo{"package.json": "{}", "server.js": nodeMain, "site/index.html": ""}
	plan, err := Detect(both.fs(), Options{Root: "/site/"})
	require.NoError(t, err)
	require.Equal(t, "Static site", plan.Language)
	require.Equal(t, "site", plan.Context)
	_, err = Detect(both.fs(), Options{Root: "server.js"})
	require.ErrorContains(t, err, "no directory server.js")
	_, err = Detect(both.fs(), Options{Root: "../site"})
	require.ErrorContains(t, err, "no directory ../site")
}

func TestStartCommandAndBuildpackOfTheApp(t *testing.T) {
	files := repo{"package.json": "{}", "index.html": ""}
	plan, err := Detect(files.fs(), Options{StartCommand: "node run.js"})
	require.NoError(t, err)
	require.Equal(t, []string{"node", "run.js"}, plan.Processes["web"])
	plan, err = Detect(files.fs(), Options{Config: map[string]string{"BUILDPACK": "static"}})
	require.NoError(t, err)
	require.Equal(t, "static", plan.Buildpack)
	_, err = Detect(files.fs(), Options{Config: map[string]string{"BUILDPACK": "cobol"}})
	require.ErrorContains(t, err, `there is no buildpack "cobol"`)
}

// TestDefaultsOfTheRuntime come behind what the app and its Procfile say.
func TestDefaultsOfTheRuntime(t *testing.T) {
	defaults := Commands{Build: "make", Start: "bin/serve"}
	files := repo{"go.mod": "module example.com/a\n", "cmd/a/main.go": "package main\n", "cmd/b/main.go": "package main\n"}
	plan, err := Detect(files.fs(), Options{Defaults: defaults})
	require.NoError(t, err)
	require.Equal(t, []string{"bin/serve"}, plan.Processes["web"])
	require.Contains(t, plan.Reasons, "built by the runtime's build command")
	require.Contains(t, plan.Reasons, "web: the runtime's start command")
	require.Contains(t, plan.Render(Images{Build: "build:1", Run: "run:1"}), "make")

	plan, err = Detect(files.fs(), Options{Defaults: defaults, BuildCommand: "go build ./...", StartCommand: "bin/own"})
	require.NoError(t, err)
	require.Equal(t, []string{"bin/own"}, plan.Processes["web"])
	require.Contains(t, plan.Reasons, "built by the app's build command")

	files["Procfile"] = "web: bin/a -v\n"
	plan, err = Detect(files.fs(), Options{Defaults: defaults})
	require.NoError(t, err)
	require.Equal(t, []string{"bin/a", "-v"}, plan.Processes["web"])
	require.NotContains(t, plan.Reasons, "web: the runtime's start command")
}
