package buildpacks

import (
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestRefusals are the repositories that cannot be built, with the words that
// their owner needs.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		files   repo
		message string
		remedy  string
	}{
		"nothing":            {repo{}, "the commit holds no files", "commit your app"},
		"unknown":            {repo{"README.md": "hi"}, "no runtime recognised", "looked for Dockerfile"},
		"misspelt":           {repo{"packages.json": "{}"}, "no runtime recognised", "did you mean package.json? The repository has packages.json"},
		"wrong case":         {repo{"Requirements.TXT": ""}, "no runtime recognised", "did you mean requirements.txt?"},
		"nested":             {repo{"backend/go.mod": "module x"}, "no runtime recognised", "found backend/go.mod: push that directory"},
		"Dockerfile damaged": {repo{"Dockerfile": "FROM a\nRUN <<EOF\n"}, "Dockerfile: unterminated heredoc", "fix that line"},
		"Dockerfile empty":   {repo{"Dockerfile": "# nothing\n"}, "Dockerfile: file with no instructions", "fix that line"},
		"conflict":           {repo{"index.html": "", "Procfile": "<<<<<<< HEAD\nweb: a\n=======\n"}, "Procfile line 1: a merge conflict was committed", "type: command"},
		"no colon":           {repo{"index.html": "", "Procfile": "# mine\nweb node a.js\n"}, `Procfile line 2: there is no colon in "web node a.js"`, "type: command"},
		"twice":              {repo{"index.html": "", "Procfile": "web: a\n\nweb: b\n"}, "Procfile line 3: web appears twice", "type: command"},
		"no command":         {repo{"index.html": "", "Procfile": "web:\n"}, "Procfile line 1: web has no command", "type: command"},
		"bad type":           {repo{"index.html": "", "Procfile": "1web: a\n"}, `Procfile line 1: "1web" cannot name a process type`, "type: command"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefusal(t, test.files, Options{}, test.message, test.remedy)
		})
	}
}

func TestForcedBuildpack(t *testing.T) {
	both := repo{"package.json": "{}", "server.js": nodeMain, "index.html": "", "Dockerfile": "FROM a\n"}
	for wanted, language := range map[string]string{"": "Dockerfile", "node": "Node.js", "static": "Static site"} {
		plan, err := Detect(both.fs(), Options{Buildpack: wanted})
		require.NoError(t, err)
		require.Equal(t, language, plan.Language)
	}
	_, err := Detect(both.fs(), Options{Buildpack: "cobol"})
	require.True(t, models.IsCode(err, models.Invalid))
	require.Contains(t, models.AsError(err).Remedy, strings.Join(Names(), ", "))
	_, err = Detect(both.fs(), Options{Buildpack: "go"})
	require.True(t, models.IsCode(err, models.Failed))
}

func TestVersions(t *testing.T) {
	for name, test := range map[string]struct {
		files repo
		want  Requirement
	}{
		"php platform": {repo{"composer.json": `{"config": {"platform": {"php": "8.2.7"}}, "require": {"php": "^8"}}`}, Requirement{"php", "8.2.*", "config.platform.php in composer.json"}},
		"php pipes":    {repo{"composer.json": `{"require": {"php": "^7.3|^8.0"}}`}, Requirement{"php", "^7.3 || ^8.0", "require.php in composer.json"}},
		"php tilde":    {repo{"composer.json": `{"require": {"php": "~7.4 || ~8.1 || ~8.2.3"}}`}, Requirement{"php", "^7.4  ||  ^8.1  ||  ~8.2.3", "require.php in composer.json"}},
		"php require":  {repo{"composer.json": `{"require": {"php": "^8"}}`}, Requirement{"php", "^8", "require.php in composer.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["Procfile"] = "web: start"
			requireNeed(t, test.files, test.want)
		})
	}
}

// TestHints shows that a misspelt file is told of even where an app was
// recognised without it.
func TestHints(t *testing.T) {
	plan, err := Detect(repo{"app.py": "", "requirments.txt": "flask"}.fs(), Options{})
	require.NoError(t, err)
	require.Contains(t, plan.Reasons, "did you mean requirements.txt? The repository has requirments.txt")
}

func TestWorkersNeedNoWeb(t *testing.T) {
	plan, err := Detect(repo{"requirements.txt": "redis", "work.py": "", "Procfile": "\ufeffworker: python work.py\r\n"}.fs(), Options{})
	require.NoError(t, err)
	require.Equal(t, models.Processes{"worker": {"python", "work.py"}}, plan.Processes)
}
