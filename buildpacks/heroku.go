package buildpacks

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// manifestName is the file in which an app tells Heroku, and Dokku, what it
// needs.
const manifestName = "app.json"

// Manifest is what an app.json asks of the platform.
type Manifest struct {
	// Variables are those of "env", by name.
	Variables []Variable
	// Formation is how many Instances of each process type to begin with.
	Formation models.Formation

	buildpack  string // of ours, where "buildpacks" names one that we know
	scripts    models.Processes
	healthPath string
}

// Variable is one entry of "env" in an app.json.
type Variable struct {
	Key string
	// Value is the default; Secret asks for one that is made up instead.
	Value  string
	Secret bool
	// Required variables without a value must be set before the first build.
	Required    bool
	Description string
}

// ReadManifest reads the app.json of the app in the directory root; one that is
// not there asks for nothing. One that cannot be read is models.Failed.
func ReadManifest(files fs.FS, root string) (Manifest, error) {
	src, err := newSource(files, Options{Root: root})
	if err != nil {
		return Manifest{}, err
	}
	return readManifest(src)
}

// manifestFile is app.json as devcenter.heroku.com ("app.json Schema") and
// dokku.com ("App JSON") describe it, as far as we read it.
type manifestFile struct {
	Env       map[string]json.RawMessage `json:"env"`
	Formation map[string]struct {
		Quantity *int `json:"quantity"`
	} `json:"formation"`
	Scripts struct {
		Postdeploy string `json:"postdeploy"`
		Dokku      struct {
			Predeploy  string `json:"predeploy"`
			Postdeploy string `json:"postdeploy"`
		} `json:"dokku"`
	} `json:"scripts"`
	Buildpacks []struct {
		URL string `json:"url"`
	} `json:"buildpacks"`
	Healthchecks map[string][]struct {
		Type string `json:"type"`
		Path string `json:"path"`
	} `json:"healthchecks"`
}

func readManifest(src source) (Manifest, error) {
	file := manifestFile{}
	found, err := src.readCommentedJSON(manifestName, &file)
	if err != nil || !found {
		return Manifest{}, err
	}
	app := Manifest{Formation: models.Formation{}, buildpack: file.buildpack(), scripts: file.scripts(), healthPath: file.healthPath()}
	for _, key := range slices.Sorted(maps.Keys(file.Env)) {
		variable, err := readVariable(key, file.Env[key])
		if err != nil {
			return Manifest{}, err
		}
		app.Variables = append(app.Variables, variable)
	}
	for process, wanted := range file.Formation {
		if wanted.Quantity == nil {
			continue
		}
		if *wanted.Quantity < 0 || *wanted.Quantity > models.MaxInstancesPerProcess {
			return Manifest{}, models.Errorf(models.Failed, "app.json: formation.%s.quantity %d is out of range", process, *wanted.Quantity).
				WithField(manifestName).WithRemedy("use 0 to %d", models.MaxInstancesPerProcess)
		}
		app.Formation[process] = *wanted.Quantity
	}
	return app, nil
}

// readVariable reads an entry of "env": a value, or an object. What says nothing
// else is required, as on Heroku.
func readVariable(key string, text json.RawMessage) (Variable, error) {
	wrong := func(what string) error {
		return models.Errorf(models.Failed, "app.json: env.%s %s", key, what).WithField(manifestName).
			WithRemedy(`write "%s": "VALUE" or "%s": {"value": "VALUE"}`, key, key)
	}
	if models.CheckEnvKey(key) != nil {
		return Variable{}, wrong("cannot name an environment variable")
	}
	variable := Variable{Key: key}
	if json.Unmarshal(text, &variable.Value) == nil {
		return variable, nil
	}
	entry := struct {
		Value       any    `json:"value"`
		Generator   string `json:"generator"`
		Required    *bool  `json:"required"`
		Description string `json:"description"`
	}{}
	if err := json.Unmarshal(text, &entry); err != nil {
		return Variable{}, wrong("is neither a text nor an object")
	}
	switch value := entry.Value.(type) {
	case nil:
	case string:
		variable.Value = value
	case bool, float64:
		variable.Value = fmt.Sprint(value)
	default:
		return Variable{}, wrong("has a value that is no text")
	}
	variable.Description, variable.Secret = entry.Description, entry.Generator == "secret"
	variable.Required = variable.Value == "" && !variable.Secret && (entry.Required == nil || *entry.Required)
	return variable, nil
}

// buildpack is ours for the last of Heroku's that the file names: that is the one
// whose processes start the app there.
func (f manifestFile) buildpack() string {
	known := map[string]string{"nodejs": "node", "jvm": "java", "gradle": "java", "scala": "java", "clojure": "java", "nginx": "static"}
	for _, named := range slices.Backward(f.Buildpacks) {
		name := strings.TrimPrefix(strings.TrimSuffix(path.Base(named.URL), ".git"), "heroku-buildpack-")
		if ours, ok := known[name]; ok {
			name = ours
		}
		if slices.Contains(Names(), name) {
			return name
		}
	}
	return ""
}

// scripts are the file's commands, under the names by which scriptNames finds
// them.
func (f manifestFile) scripts() models.Processes {
	scripts := models.Processes{}
	for name, command := range map[string]string{
		predeployScript: f.Scripts.Dokku.Predeploy, postdeployScript: f.Scripts.Dokku.Postdeploy, setupScript: f.Scripts.Postdeploy,
	} {
		if command = strings.TrimSpace(command); command != "" {
			scripts[name] = argv(command)
		}
	}
	return scripts
}

func (f manifestFile) healthPath() string {
	for _, kind := range []string{"startup", "readiness", ""} {
		for _, check := range f.Healthchecks[models.WebProcess] {
			if check.Type == kind && strings.HasPrefix(check.Path, "/") {
				return check.Path
			}
		}
	}
	return ""
}

// The names of app.json's scripts while a buildpack looks at all commands. No
// process type has a space in its name.
const (
	predeployScript  = "app.json predeploy"
	postdeployScript = "app.json postdeploy"
	setupScript      = "app.json setup"
)

// splitScripts takes the commands that run once out of the processes.
func (p *Plan) splitScripts() {
	p.Scripts = models.Processes{}
	for name, from := range map[string]string{
		models.ReleaseProcess: models.ReleaseProcess, models.PostdeployProcess: postdeployScript, models.SetupProcess: setupScript,
	} {
		if command, ok := p.Processes[from]; ok {
			p.Scripts[name] = command
		}
		delete(p.Processes, from)
	}
	if before, ok := p.Processes[predeployScript]; ok {
		if release, both := p.Scripts[models.ReleaseProcess]; both {
			before = []string{"/bin/sh", "-c", "(" + shellWords(before) + ") && (" + shellWords(release) + ")"}
		}
		p.Scripts[models.ReleaseProcess] = before
		delete(p.Processes, predeployScript)
	}
	for _, name := range sortedKeys(p.Scripts) {
		p.Reasons = append(p.Reasons, name+" command: "+shellWords(p.Scripts[name]))
	}
}

// shellWords writes an argument vector as a shell reads it.
func shellWords(command []string) string {
	if len(command) == 3 && command[0] == "/bin/sh" && command[1] == "-c" {
		return strings.TrimPrefix(command[2], "exec ")
	}
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\$`|&;<>()*?[]{}~#!") {
			words[i] = shellQuote(word)
		}
	}
	return strings.Join(words, " ")
}

// likeHeroku honours the files that Heroku reads beside a language's own: a
// .profile is sourced before each process, and what a .slugignore names is not
// part of the build.
func (p *Plan) likeHeroku(src source) error {
	if src.has(".profile") {
		for process, command := range p.Processes {
			p.Processes[process] = []string{"/bin/sh", "-c", ". ./.profile && exec " + execWords(command)}
		}
		p.Reasons = append(p.Reasons, "every process sources .profile first")
	}
	text, found, err := src.read(".slugignore")
	if err != nil || !found {
		return err
	}
	p.Ignore += slugIgnore(text, p.Context, src.root)
	return nil
}

// execWords is a command that a shell can exec.
func execWords(command []string) string {
	if len(command) == 3 && command[0] == "/bin/sh" && command[1] == "-c" && !strings.HasPrefix(command[2], "exec ") {
		return "/bin/sh -c " + shellQuote(command[2])
	}
	return shellWords(command)
}

// slugIgnore writes the patterns of a .slugignore, which are those of a
// .gitignore without negation (devcenter.heroku.com, "Slug Compiler"), as a
// .dockerignore of the build's context has them.
func slugIgnore(text, context, root string) string {
	below := ""
	if context != root {
		below = strings.TrimPrefix(root, context+"/") + "/"
	}
	lines := &strings.Builder{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		pattern := strings.TrimSuffix(line, "/")
		if !strings.Contains(pattern, "/") {
			pattern = "**/" + pattern
		}
		fmt.Fprintf(lines, "%s%s\n", below, strings.TrimPrefix(pattern, "/"))
	}
	return lines.String()
}
