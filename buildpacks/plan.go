package buildpacks

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/skypanel/sky/models"
)

// Plan is how to build one commit.
type Plan struct {
	// Buildpack is the name of the one that made the plan, such as "node".
	Buildpack string
	// Language is its name for people, such as "Node.js".
	Language string
	// Reasons say why this buildpack was chosen and what it will do.
	Reasons []string
	// Need is the Runtime that the plan builds on; nil for a repository's own
	// Dockerfile.
	Need *Requirement
	// Tools are Runtimes whose build images serve stages beside the language's
	// own, such as Node.js for the assets of a PHP app.
	Tools []Requirement
	// Context is the directory of the repository that the build sees: "." where
	// an app in a directory needs files above it, else the app's root directory.
	Context string
	// Render returns the Dockerfile for the images that meet Need. It is nil
	// where DockerfilePath names one in the repository.
	Render         func(Images) string `json:"-"`
	DockerfilePath string
	// Target is the stage of it to build, the last where it is empty, and
	// BuildArgs are values for its ARGs.
	Target    string
	BuildArgs map[string]string
	// Processes start the image; a "web" process listens on Port.
	Processes models.Processes
	Port      int
	// Scripts are commands that run once: see models.Release.
	Scripts models.Processes
	// HealthPath is what the repository wants to be probed.
	HealthPath string
	// Ignore are patterns of files that the build does not see, as a .dockerignore
	// has them. A repository's own Dockerfile has its own .dockerignore.
	Ignore string
	// finish, where a buildpack sets it, sees all processes before Render is
	// called, those of the Procfile too.
	finish func(*Plan)
}

// Requirement asks for a Runtime.
type Requirement struct {
	Type string
	// Constraint is a version range as the ecosystem writes it; empty asks for
	// the default. Source names the file and field that it came from.
	Constraint string
	Source     string
}

// Images are the base images that meet a Requirement.
type Images struct {
	Version string
	Build   string
	Run     string
	// ExtraCA is set when builds get a private certificate authority mounted.
	ExtraCA bool
	// GoSeed is set when Build has a compiled standard library in /go-seed.
	GoSeed bool
	// Tools are the build images of the plan's Tools, by type.
	Tools map[string]string
	// Variables is set when builds get config variables, as VariablesSecret.
	Variables bool
}

// Options are what the App's owner decided beside what the repository holds.
type Options struct {
	// Buildpack forces the buildpack of that name; empty lets the files decide.
	Buildpack string
	// Root is the directory of the repository that holds the app; empty or "."
	// is the whole.
	Root string
	// Config is what of the App's Config may be known to a build, such as
	// NODE_VERSION. Values are never written into a Dockerfile.
	Config map[string]string
	// BuildCommand runs instead of the build that the buildpack would choose,
	// and StartCommand starts "web" where no Procfile does.
	BuildCommand string
	StartCommand string
	// Defaults stand in for what the buildpack would choose, where neither the App
	// nor its Procfile says another: they are of the Runtime that it is built on.
	Defaults Commands
	// Dockerfile is the path of the repository's own, where it is not the root's;
	// DockerTarget a stage of it to build. BuildArgs are values for its ARGs:
	// Config is none, because images show their arguments to whoever has them.
	Dockerfile   string
	DockerTarget string
	BuildArgs    map[string]string
}

// Commands build an app, and start its "web"; an empty one is the buildpack's.
type Commands struct{ Build, Start string }

// buildpack is one language. detect returns nil when the files are not its own,
// and an error when they are, but cannot be built.
type buildpack struct {
	name   string
	detect func(source) (*Plan, error)
}

// ordered is who is asked first. The repository's own Dockerfile wins; files
// that often accompany another language's (package.json, index.html) come last.
func ordered() []buildpack {
	return []buildpack{
		{"dockerfile", detectDockerfile},
		{"php", detectPHP},
		{"go", detectGo},
		{"java", detectJava},
		{"rust", detectRust},
		{"ruby", detectRuby},
		{"python", detectPython},
		{"node", detectNode},
		{"static", detectStatic},
	}
}

// Detect plans the build of a repository's files. A repository that nobody
// recognises, or that its buildpack cannot build, is models.Failed with what was
// looked for.
func Detect(files fs.FS, options Options) (*Plan, error) {
	src, err := newSource(files, options)
	if err != nil {
		return nil, err
	}
	if src.procfile, err = readProcfile(src); err != nil {
		return nil, err
	}
	src.applyDefaults()
	app, err := readManifest(src)
	if err != nil {
		return nil, err
	}
	packs, err := asked(src, app)
	if err != nil {
		return nil, err
	}
	for _, pack := range packs {
		plan, err := pack.detect(src)
		if err != nil {
			return nil, err
		}
		if plan != nil {
			plan.Buildpack = pack.name
			return complete(src, plan, app)
		}
	}
	return nil, unrecognised(src)
}

// asked returns the buildpacks to ask: all of them, or the one that the App's
// setting, its variable BUILDPACK or else its app.json names.
func asked(src source, app Manifest) ([]buildpack, error) {
	wanted, field := src.options.Buildpack, "buildpack"
	if wanted == "" {
		wanted, field = src.options.Config[buildpackVariable], buildpackVariable
	}
	packs := ordered()
	if wanted == "" && !src.has("Dockerfile") {
		wanted, field = app.buildpack, manifestName
	}
	if wanted == "" {
		return packs, nil
	}
	at := slices.IndexFunc(packs, func(pack buildpack) bool { return pack.name == wanted })
	if at < 0 {
		return nil, models.Errorf(models.Invalid, "there is no buildpack %q", wanted).WithField(field).
			WithRemedy("use one of %s", strings.Join(Names(), ", "))
	}
	return packs[at : at+1], nil
}

// buildpackVariable is the config variable that forces a buildpack, where the
// App's setting does not.
const buildpackVariable = "BUILDPACK"

// Names lists the buildpacks in the order in which they are asked.
func Names() []string {
	var names []string
	for _, pack := range ordered() {
		names = append(names, pack.name)
	}
	return names
}

// complete lets the Procfile, then the App's start command, overrule the plan's
// own processes.
func complete(src source, plan *Plan, app Manifest) (*Plan, error) {
	if plan.Processes == nil {
		plan.Processes = models.Processes{}
	}
	if plan.Context == "" {
		plan.Context = src.root
	}
	if found, right := misspelling(src); found != "" {
		plan.Reasons = append(plan.Reasons, "did you mean "+right+"? The repository has "+found)
	}
	if command := src.options.StartCommand; command != "" {
		plan.Processes[models.WebProcess] = argv(command)
		plan.Reasons = append(plan.Reasons, "web: "+src.whoseStart+" start command")
	}
	maps.Copy(plan.Processes, src.procfile)
	maps.Copy(plan.Processes, app.scripts)
	plan.HealthPath = app.healthPath
	if len(src.procfile) > 0 {
		plan.Reasons = append(plan.Reasons, "processes from Procfile: "+strings.Join(sortedKeys(src.procfile), ", "))
	}
	if len(plan.Processes) == len(app.scripts) {
		return nil, models.Errorf(models.Failed, "%s was recognised, but not how to start it", plan.Language).
			WithRemedy("add a Procfile with a line such as `web: COMMAND`")
	}
	if plan.finish != nil {
		plan.finish(plan)
	}
	if plan.DockerfilePath == "" {
		plan.Ignore = "**/.git\n" // a commit holds none, an uploaded directory may
		if err := plan.likeHeroku(src); err != nil {
			return nil, err
		}
	}
	plan.splitScripts()
	return plan, nil
}

func sortedKeys(processes models.Processes) []string {
	names := make([]string, 0, len(processes))
	for name := range processes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// misspelt maps names that people type, in lower case, to the ones that tools
// look for.
var misspelt = map[string]string{
	"requirments.txt": "requirements.txt", "requirement.txt": "requirements.txt", "requirements.text": "requirements.txt",
	"packages.json": "package.json", "procfile": "Procfile", "procfile.txt": "Procfile",
	"dockerfile": "Dockerfile", "dockerfile.txt": "Dockerfile", "composer.jason": "composer.json",
	"index.htm": "index.html", "go.mods": "go.mod", "pom.xml.txt": "pom.xml", "build.gradle.txt": "build.gradle",
	"cargo.toml": "Cargo.toml", "gemfile": "Gemfile", "gemfile.rb": "Gemfile", "staticfile": "Staticfile",
	// The right name in the wrong case, which passes on macOS and Windows.
	"requirements.txt": "requirements.txt", "package.json": "package.json", "composer.json": "composer.json",
	"go.mod": "go.mod", "index.html": "index.html", "index.php": "index.php", "pyproject.toml": "pyproject.toml",
}

// misspelling returns a file of the root whose name is nearly one that tools
// look for, and that name, where the file of that name is missing.
func misspelling(src source) (found, right string) {
	entries, err := fs.ReadDir(src.files, ".")
	if err != nil {
		return "", ""
	}
	for _, entry := range entries {
		right, ok := misspelt[strings.ToLower(entry.Name())]
		if ok && entry.Type().IsRegular() && entry.Name() != right && !src.has(right) {
			return entry.Name(), right
		}
	}
	return "", ""
}

func unrecognised(src source) error {
	err := models.Errorf(models.Failed, "no runtime recognised in the repository's root").
		WithRemedy("looked for Dockerfile; composer.json or index.php (PHP); go.mod (Go); pom.xml or build.gradle (Java); Cargo.toml (Rust); Gemfile (Ruby); " +
			"requirements.txt, pyproject.toml or main.py (Python); package.json (Node.js); index.html (static)")
	entries, readErr := fs.ReadDir(src.files, ".")
	if readErr != nil {
		return models.Errorf(models.Internal, "read the commit's files: %w", readErr)
	}
	if len(entries) == 0 {
		return models.Errorf(models.Failed, "the commit holds no files").WithRemedy("commit your app and push again")
	}
	if found, right := misspelling(src); found != "" {
		return err.WithRemedy("did you mean %s? The repository has %s", right, found)
	}
	if nested := nestedManifest(src, entries); nested != "" {
		return err.WithRemedy("found %s: push that directory as a repository of its own", nested)
	}
	return err
}

// nestedManifest returns a manifest one directory down, the usual reason why
// nothing is found at the root.
func nestedManifest(src source, entries []fs.DirEntry) string {
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		for _, manifest := range []string{"Dockerfile", "package.json", "go.mod", "requirements.txt", "composer.json", "pom.xml", "build.gradle", "Cargo.toml", "Gemfile"} {
			if name := path.Join(entry.Name(), manifest); src.has(name) {
				return name
			}
		}
	}
	return ""
}
