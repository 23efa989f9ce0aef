package buildpacks

import (
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

const rubyPort = 3000

// rubyApp is a Ruby repository with what its plan depends on.
type rubyApp struct {
	src     source
	gemfile string // text of Gemfile
	lock    string // text of Gemfile.lock
	rails   bool
	// javascript says that Ruby code runs Node.js when assets are compiled.
	javascript bool
	assets     *assets
}

func detectRuby(src source) (*Plan, error) {
	evidence := src.first("Gemfile", "config.ru", "app.rb", "main.rb")
	if evidence == "" {
		return nil, nil
	}
	app := &rubyApp{src: src}
	var err error
	if app.gemfile, _, err = src.read("Gemfile"); err != nil {
		return nil, err
	}
	if app.lock, _, err = src.read("Gemfile.lock"); err != nil {
		return nil, err
	}
	app.rails = app.uses("railties") || app.uses("rails")
	plan := &Plan{
		Language: "Ruby", Reasons: []string{evidence}, Port: rubyPort, Render: app.render, Processes: models.Processes{},
	}
	if app.gemfile != "" && app.lock == "" {
		plan.Reasons = append(plan.Reasons, "no Gemfile.lock: versions may change between builds")
	}
	if plan.Need, err = app.version(); err != nil {
		return nil, err
	}
	if app.assets, err = findAssets(src, plan); err != nil {
		return nil, err
	}
	if app.assets == nil && (app.uses("execjs") || src.has("package.json")) {
		app.javascript = true
		plan.Tools = append(plan.Tools, Requirement{Type: "node"})
		plan.Reasons = append(plan.Reasons, "Node.js while assets are compiled")
	}
	if command, reason := app.start(); command != "" {
		plan.Processes[models.WebProcess] = argv(command)
		plan.Reasons = append(plan.Reasons, "start: "+reason)
	}
	return plan, nil
}

// uses reports whether a gem is in the lock file, or the Gemfile where there is
// none.
func (a *rubyApp) uses(gem string) bool {
	name := regexp.QuoteMeta(gem)
	if a.lock != "" {
		return regexp.MustCompile(`(?m)^    ` + name + ` \(`).MatchString(a.lock)
	}
	return regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']` + name + `["']`).MatchString(a.gemfile)
}

var (
	lockedRuby  = regexp.MustCompile(`(?m)^RUBY VERSION\s+ruby (\d+\.\d+\.\d+)`)
	gemfileRuby = regexp.MustCompile(`(?m)^\s*ruby\s*\(?\s*["']([^"']+)["'](?:\s*,\s*["']([^"']+)["'])?`)
	pessimistic = regexp.MustCompile(`~>\s*(\d+(?:\.\d+)?)$`)
)

// version reads the places that name a version of Ruby. The patch level is the
// image's: what asks for another one of the same release line gets that.
func (a *rubyApp) version() (*Requirement, error) {
	var wishes []wish
	if match := lockedRuby.FindStringSubmatch(a.lock); match != nil {
		wishes = append(wishes, wish{majorMinor(match[1]), "Gemfile.lock"})
	}
	line, err := a.src.line(".ruby-version")
	if err != nil {
		return nil, err
	}
	if line = strings.TrimPrefix(line, "ruby-"); line != "" {
		wishes = append(wishes, wish{majorMinor(line), ".ruby-version"})
	}
	if match := gemfileRuby.FindStringSubmatch(a.gemfile); match != nil {
		wishes = append(wishes, wish{rubyRange(match[1:]), "Gemfile"})
	}
	need, err := a.src.requirement("ruby", wishes...)
	if err == nil && exact(need.Constraint) != nil {
		need.Constraint = majorMinor(need.Constraint)
	}
	return need, err
}

// rubyRange writes requirements of RubyGems' as other package managers do: ~> 3.1
// allows 3.4, ~> 3.1.2 does not.
func rubyRange(requirements []string) string {
	var parts []string
	for _, text := range requirements {
		text = strings.TrimSpace(text)
		switch match := pessimistic.FindStringSubmatch(text); {
		case text == "":
		case match != nil:
			parts = append(parts, "^"+match[1])
		case exact(text) != nil:
			parts = append(parts, majorMinor(trimVersion(text)))
		default:
			parts = append(parts, strings.ReplaceAll(text, "~>", "~"))
		}
	}
	return strings.Join(parts, ", ")
}

// start finds the server that the framework's documentation recommends.
func (a *rubyApp) start() (command, reason string) {
	script := a.src.first("app.rb", "main.rb", "server.rb")
	switch {
	case a.rails && a.uses("puma") && a.src.has("config/puma.rb"):
		return "bundle exec puma -C config/puma.rb", "Rails under Puma"
	case a.rails:
		return "bundle exec rails server -b 0.0.0.0 -p $PORT", "Rails' own server"
	case a.src.has("config.ru") && a.uses("puma"):
		return "bundle exec puma -b tcp://0.0.0.0:$PORT", "config.ru under Puma"
	case a.src.has("config.ru"):
		return "bundle exec rackup -o 0.0.0.0 -p $PORT", "config.ru"
	case script != "" && a.gemfile != "":
		return "bundle exec ruby " + script, script
	case script != "":
		return "ruby " + script, script
	}
	return "", ""
}

// ofItsOwn matches Gemfiles that read files beside them.
var ofItsOwn = regexp.MustCompile(`(?m)\bpath:|:path\s*=>|^\s*(gemspec|eval_gemfile|path)\b|\bFile\.|require_relative`)

// bundlerSettings are Bundler's, while it installs and in what runs.
const bundlerSettings = "BUNDLE_PATH=/gems BUNDLE_WITHOUT=development:test BUNDLE_APP_CONFIG=/tmp/bundle"

// anyPatch takes the version of Ruby out of the manifests, because Bundler
// insists on its patch level; the release line was decided before. Without the
// lock file's last section the image's own Bundler serves, which else would fetch
// another one when the app starts, too.
const anyPatch = `sed -i -E '/^[[:space:]]*ruby[[:space:](]/d' Gemfile` +
	` && if [ -f Gemfile.lock ]; then sed -i -e '/^RUBY VERSION/,/^$/d' -e '/^BUNDLED WITH/,$d' Gemfile.lock; fi`

func (a *rubyApp) install() string {
	install := "bundle install --jobs 4"
	if a.src.hasDir("vendor/cache") {
		install = "(bundle install --local || bundle install)"
	}
	return install + " && rm -rf /gems/ruby/*/cache"
}

func (a *rubyApp) render(images Images) string {
	file := render(images)
	context := a.assets.stage(file)
	if a.gemfile != "" {
		file.from(images.Build, "dependencies")
		file.line("ENV %s BUNDLE_FROZEN=%t", bundlerSettings, a.lock != "")
		file.line("WORKDIR /app")
		if ofItsOwn.MatchString(a.gemfile) {
			file.line("COPY . ./")
		} else {
			file.line("COPY Gemfile Gemfile.loc[k] ./")
			if a.src.hasDir("vendor/cache") {
				file.line("COPY vendor/cache ./vendor/cache")
			}
		}
		file.line("RUN %s", anyPatch)
		file.run(a.install())
	}
	a.renderBuild(file, context)
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	if a.gemfile != "" {
		file.line("COPY --from=dependencies /gems /gems")
	}
	file.line("COPY --from=build /app ./")
	return file.last(bundlerSettings, "BUNDLE_FROZEN=true", "RACK_ENV=production", "APP_ENV=production", "RAILS_ENV=production",
		"RAILS_LOG_TO_STDOUT=1", "RAILS_SERVE_STATIC_FILES=1", "PIDFILE=/tmp/server.pid", "MALLOC_ARENA_MAX=2")
}

// renderBuild makes the app's own files: Bundler's manifests as they were
// installed, Rails' assets, and directories for what is written at run time,
// where nothing but /tmp can be.
func (a *rubyApp) renderBuild(file *dockerfile, context string) {
	file.from(file.images.Build, "build")
	file.line("ENV %s BUNDLE_FROZEN=true RAILS_ENV=production RACK_ENV=production", bundlerSettings)
	file.line("WORKDIR /app")
	if a.gemfile != "" {
		file.line("COPY --from=dependencies /gems /gems")
	}
	file.line("COPY %s ./", context)
	if a.gemfile != "" {
		file.line("COPY --from=dependencies /app/Gemfile /app/Gemfile.loc[k] ./")
	}
	mounts, prefix := []string{}, ""
	if a.javascript {
		mounts = append(mounts, "--mount=type=bind,from="+file.images.Tools["node"]+",source=/usr/local,target=/opt/node")
		prefix = "PATH=$PATH:/opt/node/bin "
	}
	switch command := a.src.options.BuildCommand; {
	case command != "":
		file.run(command, mounts...)
	case a.rails && (a.uses("sprockets-rails") || a.uses("propshaft") || a.uses("sprockets")):
		file.run(prefix+"SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=only-to-compile-assets SKIP_JS_BUILD=1 SKIP_CSS_BUILD=1 SKIP_YARN_INSTALL=1 "+
			"bundle exec rake assets:precompile", mounts...)
	}
	if a.rails {
		file.line("RUN rm -rf tmp log && ln -s /tmp tmp && ln -s /tmp log")
	}
}
