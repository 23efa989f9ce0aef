package buildpacks

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

// staticSite is a directory of files that a web server shows.
type staticSite struct {
	// root is the directory in the build context, or in the stage that made it.
	root string
	// spa answers paths that no file has with index.html, for apps that route in
	// the browser.
	spa bool
	// built says that a bundler made the files, so that a hash in the name of an
	// asset means what it seems to.
	built     bool
	redirects []redirect
	headers   []headerRule
}

func detectStatic(src source) (*Plan, error) {
	root, evidence, err := staticRoot(src)
	if err != nil || evidence == "" {
		return nil, err
	}
	site := staticSite{root: root.dir, spa: root.spa}
	if err := site.readRules(src, root.dir, "."); err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Static site", Reasons: append([]string{evidence}, site.reasons()...), Port: defaultPort,
		Need: &Requirement{Type: "static"}, Processes: models.Processes{models.WebProcess: staticCommand()},
	}
	if root.dir != "." {
		plan.Reasons = append(plan.Reasons, "web root: "+root.dir)
	}
	plan.Render = func(images Images) string {
		file := render(images)
		if command := src.options.BuildCommand; command != "" {
			file.from(images.Build, "build")
			file.line("WORKDIR /app\nCOPY . ./")
			file.run(command)
			site.root, site.built = path.Join("/app", root.dir), true
			return site.serve(file, images.Run, "build")
		}
		return site.serve(file, images.Run, "")
	}
	return plan, nil
}

// publish is what a repository's own file says of how to serve it.
type publish struct {
	dir string
	spa bool
}

// staticRoot finds the directory to serve and the file that says so; no evidence
// means that this is no static site.
func staticRoot(src source) (publish, string, error) {
	for _, read := range []func(source) (publish, string, error){readStaticfile, readStaticJSON} {
		found, evidence, err := read(src)
		if err != nil {
			return publish{}, "", err
		}
		if evidence == "" {
			continue
		}
		if found.dir == "" {
			found.dir = path.Dir(src.first(indexPages...))
		}
		return found, evidence, checkRoot(src, found.dir, evidence)
	}
	index := src.first(indexPages...)
	return publish{dir: path.Dir(index)}, index, nil
}

// indexPages are where a site's first page may be, in order.
var indexPages = []string{"index.html", "public/index.html", "dist/index.html", "build/index.html"}

func checkRoot(src source, dir, evidence string) error {
	info, err := fs.Stat(src.files, dir)
	if src.options.BuildCommand != "" || (err == nil && info.IsDir()) {
		return nil
	}
	return models.Errorf(models.Failed, "%s has the root %s, which is no directory of the repository", evidence, dir).
		WithField(evidence).WithRemedy("name the directory that holds index.html, such as `root: public`")
}

var staticfileLine = regexp.MustCompile(`^([\w-]+)\s*:\s*["']?(.*?)["']?\s*$`)

// readStaticfile reads lines "name: value", as Cloud Foundry's staticfile
// buildpack describes its Staticfile: of them root and pushstate.
func readStaticfile(src source) (publish, string, error) {
	text, ok, err := src.read("Staticfile")
	if err != nil || !ok {
		return publish{}, "", err
	}
	found := publish{}
	for line := range strings.Lines(text) {
		match := staticfileLine.FindStringSubmatch(strings.TrimSpace(line))
		switch {
		case match == nil:
		case match[1] == "root":
			found.dir = path.Clean(strings.Trim(match[2], "/"))
		case match[1] == "pushstate":
			found.spa = match[2] == "enabled" || match[2] == "true"
		}
	}
	return found, "Staticfile", nil
}

// readStaticJSON reads root and the catch-all route of static.json, as Heroku's
// static buildpack describes it.
func readStaticJSON(src source) (publish, string, error) {
	var file struct {
		Root   string            `json:"root"`
		Routes map[string]string `json:"routes"`
	}
	found, err := src.readJSON("static.json", &file)
	if err != nil || !found {
		return publish{}, "", err
	}
	dir := path.Clean(strings.Trim(file.Root, "/"))
	if file.Root == "" {
		dir = "public_html" // that buildpack's default
		if index := src.first(indexPages...); index != "" {
			dir = path.Dir(index)
		}
	}
	return publish{dir: dir, spa: file.Routes["/**"] != ""}, "static.json", nil
}

// readRules reads the first _redirects and the first _headers that lie in dirs
// of the repository. Bundlers copy both from such a directory into the site.
func (s *staticSite) readRules(src source, dirs ...string) error {
	for _, dir := range dirs {
		if s.redirects == nil {
			name := path.Join(dir, "_redirects")
			text, _, err := src.read(name)
			if err != nil {
				return err
			}
			if s.redirects, err = parseRedirects(name, text); err != nil {
				return err
			}
		}
		if s.headers == nil {
			name := path.Join(dir, "_headers")
			text, _, err := src.read(name)
			if err != nil {
				return err
			}
			if s.headers, err = parseHeaders(name, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// reasons say what beside the files decides the answers.
func (s *staticSite) reasons() []string {
	var reasons []string
	if len(s.redirects) > 0 {
		reasons = append(reasons, "rules of _redirects")
	}
	if len(s.headers) > 0 {
		reasons = append(reasons, "rules of _headers")
	}
	if s.spa {
		reasons = append(reasons, "other paths get index.html")
	}
	return reasons
}

const staticConfigPath = "/etc/sky/nginx.conf"

// staticCommand starts the server. nginx does not read the environment, so that
// the port is written into a copy of its configuration.
func staticCommand() []string {
	return []string{"/bin/sh", "-c", `sed "s/SKY_PORT/${PORT:-8080}/" ` + staticConfigPath +
		" >/tmp/nginx.conf && exec nginx -e stderr -c /tmp/nginx.conf"}
}

// serve writes the last stages of file: the site's files, taken from the build
// context or from the stage that made them, and the server on image. The result
// is the whole Dockerfile. image is one of the Runtime "static".
func (s *staticSite) serve(file *dockerfile, image, stage string) string {
	file.from(image, "site")
	file.line("WORKDIR /site")
	if stage == "" {
		file.line("COPY %s ./", s.root)
	} else {
		file.line("COPY --from=%s %s ./", stage, s.root)
	}
	file.line("RUN %s", prepareSite)
	file.line("\nFROM %s", image)
	file.line("COPY <<'EOF' %s\n%sEOF", staticConfigPath, s.config())
	file.line("WORKDIR /app")
	file.line("COPY --from=site /site ./")
	return file.last()
}

// prepareSite removes what is no part of the site, compresses what compresses
// well, and gives every file a time that depends on its contents: nginx makes
// the ETag of time and size, and a commit's files all have the same second.
const prepareSite = `rm -f _redirects _headers Staticfile static.json Procfile` +
	` && find . -type f -size +1k \( -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.mjs' -o -name '*.json'` +
	` -o -name '*.svg' -o -name '*.xml' -o -name '*.txt' -o -name '*.wasm' -o -name '*.webmanifest' \) > /tmp/texts` +
	` && while IFS= read -r file; do test -e "$file.gz" || gzip -9kn "$file"; test -e "$file.br" || brotli -kq 9 "$file"; done < /tmp/texts` +
	` && find . -type f -exec cksum {} + | perl -ne '/^(\d+) \d+ (.*)$/ and utime 0, 315532800 + $1 % 1000000000, $2'`
