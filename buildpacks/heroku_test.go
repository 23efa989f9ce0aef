package buildpacks

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestManifest(t *testing.T) {
	files := repo{"app.json": `{
		"env": {
			"COLOR": "green", "SECRET_KEY": {"generator": "secret"}, "API_KEY": {"description": "from the shop"},
			"DEBUG": {"value": false}, "OPTIONAL": {"required": false}
		},
		"formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": {}},
		"healthchecks": {"web": [{"type": "liveness", "path": "/live"}, {"type": "startup", "path": "/ready"}]},
		"image": "heroku/nodejs", "addons": ["heroku-postgresql"]
	}`, "main.py": ""}
	app, err := ReadManifest(files.fs(), "")
	require.NoError(t, err)
	require.Equal(t, []Variable{
		{Key: "API_KEY", Required: true, Description: "from the shop"}, {Key: "COLOR", Value: "green"}, {Key: "DEBUG", Value: "false"},
		{Key: "OPTIONAL"}, {Key: "SECRET_KEY", Secret: true},
	}, app.Variables)
	require.Equal(t, models.Formation{"web": 2}, app.Formation)
	plan, err := Detect(files.fs(), Options{})
	require.NoError(t, err)
	require.Equal(t, "/ready", plan.HealthPath)
	none, err := ReadManifest(repo{}.fs(), "")
	require.NoError(t, err)
	require.Zero(t, none)
}

// TestManifestMayHaveComments, as Dokku's sample has, and no other file may.
func TestManifestMayHaveComments(t *testing.T) {
	commented := `{
  // what runs first
  "env": {"URL": "http://example.com/*not a comment*/",},
  /* and how often */
  "formation": {"web": {"quantity": 2,},},
}`
	app, err := ReadManifest(repo{"app.json": commented}.fs(), "")
	require.NoError(t, err)
	require.Equal(t, "http://example.com/*not a comment*/", app.Variables[0].Value)
	require.Equal(t, models.Formation{"web": 2}, app.Formation)
	_, err = Detect(repo{"package.json": commented}.fs(), Options{})
	require.ErrorContains(t, err, "package.json is not valid JSON")
}

func TestManifestRefusals(t *testing.T) {
	for text, message := range map[string]string{
		`{`:                                     "app.json is not valid JSON",
		`{"env": {} "formation": {}}`:           "app.json is not valid JSON",
		`{"env": {"A-B": "x"}}`:                 "env.A-B cannot name an environment variable",
		`{"env": {"A": ["x"]}}`:                 "env.A is neither a text nor an object",
		`{"env": {"A": {"value": {"b": 1}}}}`:   "env.A has a value that is no text",
		`{"formation":{"web":{"quantity":-1}}}`: "formation.web.quantity -1 is out of range",
		`{"formation":{"web":"two"}}`:           "formation must not be a JSON string",
	} {
		_, err := Detect(repo{"app.json": text, "main.py": ""}.fs(), Options{})
		refused := models.AsError(err)
		require.NotNil(t, refused, text)
		require.Equal(t, models.Failed, refused.Code)
		require.Contains(t, refused.Message, message)
		require.NotEmpty(t, refused.Remedy)
	}
}

func TestScripts(t *testing.T) {
	shell := func(text string) []string { return []string{"/bin/sh", "-c", text} }
	for name, test := range map[string]struct {
		files   repo
		scripts models.Processes
		web     []string
	}{
		"release in the Procfile": {
			repo{"main.py": "", "Procfile": "web: python main.py\nrelease: ./manage.py migrate\n"},
			models.Processes{"release": {"./manage.py", "migrate"}}, []string{"python", "main.py"},
		},
		"Heroku's postdeploy": {
			repo{"main.py": "", "app.json": `{"scripts": {"postdeploy": "python seed.py && echo done"}}`},
			models.Processes{"setup": shell("python seed.py && echo done")}, []string{"python", "main.py"},
		},
		"Dokku's": {
			repo{"main.py": "", "app.json": `{"scripts": {"dokku": {"predeploy": "touch a", "postdeploy": "echo live"}}}`},
			models.Processes{"release": {"touch", "a"}, "postdeploy": {"echo", "live"}}, []string{"python", "main.py"},
		},
		"both before": {
			repo{"main.py": "", "Procfile": "release: echo 'b c'\n", "app.json": `{"scripts": {"dokku": {"predeploy": "echo a"}}}`},
			models.Processes{"release": shell("(echo a) && (echo 'b c')")}, []string{"python", "main.py"},
		},
		".profile": {
			repo{"main.py": "", ".profile": "export A=1", "Procfile": "web: A=2 python main.py\nrelease: echo $A\n"},
			models.Processes{"release": shell(". ./.profile && exec echo $A")},
			shell(". ./.profile && exec /bin/sh -c 'A=2 python main.py'"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Detect(test.files.fs(), Options{})
			require.NoError(t, err)
			require.Equal(t, test.scripts, plan.Scripts)
			require.Equal(t, models.Processes{"web": test.web}, plan.Processes)
		})
	}
	_, err := Detect(repo{"requirements.txt": "", "app.json": `{"scripts": {"postdeploy": "x"}}`}.fs(), Options{})
	require.ErrorContains(t, err, "not how to start it", "a script starts no app")
}

func TestBuildpackOfTheManifest(t *testing.T) {
	files := repo{"package.json": "{}", "server.js": nodeMain, "main.py": ""}
	for urls, want := range map[string]string{
		`[{"url": "heroku/python"}, {"url": "heroku/nodejs"}]`:                       "node",
		`[{"url": "https://github.com/heroku/heroku-buildpack-python.git"}]`:         "python",
		`[{"url": "heroku/nodejs"}, {"url": "https://example.com/buildpack-x.git"}]`: "node",
		`[{"url": "https://example.com/buildpack-x.git"}]`:                           "python",
	} {
		files["app.json"] = `{"buildpacks": ` + urls + `}`
		plan, err := Detect(files.fs(), Options{})
		require.NoError(t, err)
		require.Equal(t, want, plan.Buildpack, urls)
	}
	plan, err := Detect(files.fs(), Options{Buildpack: "node"})
	require.NoError(t, err)
	require.Equal(t, "node", plan.Buildpack, "the app's setting goes first")
}

func TestSlugIgnore(t *testing.T) {
	files := repo{"index.html": "", ".slugignore": "# ours\n*.psd\n/docs/\nspec/fixtures\n!kept\n\n"}
	plan, err := Detect(files.fs(), Options{})
	require.NoError(t, err)
	require.Equal(t, "**/.git\n**/*.psd\ndocs\nspec/fixtures\n", plan.Ignore)
	require.Equal(t, "apps/web/**/*.psd\n", slugIgnore("*.psd", ".", "apps/web"))
}
