package buildpacks

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// composerJSON is what we read of Composer's manifest, as getcomposer.org
// describes its schema.
type composerJSON struct {
	Require  map[string]string `json:"require"`
	Autoload json.RawMessage   `json:"autoload"`
	// Repositories are a list or an object.
	Repositories json.RawMessage `json:"repositories"`
	Config       struct {
		Platform map[string]string `json:"platform"`
	} `json:"config"`
}

// phpApp is a PHP repository: whether Composer installs anything, and which
// directory the web sees.
type phpApp struct {
	composer bool
	// fromSource says that packages lie in the repository, so that installing
	// reads more than the manifests.
	fromSource bool
	// dir is the directory that the web sees, and routed says that a .htaccess
	// there decides which paths its index.php gets.
	dir     string
	routed  bool
	laravel bool
	symfony bool
	command string // the app's build command
	assets  *assets
}

func detectPHP(src source) (*Plan, error) {
	evidence := src.first("composer.json", "index.php", "public/index.php", "web/index.php")
	if evidence == "" {
		return nil, nil
	}
	manifest := composerJSON{}
	if _, err := src.readJSON("composer.json", &manifest); err != nil {
		return nil, err
	}
	if err := checkExtensions(manifest); err != nil {
		return nil, err
	}
	app := &phpApp{composer: installs(manifest), fromSource: len(manifest.Repositories) > 0, command: src.options.BuildCommand}
	app.laravel = manifest.Require["laravel/framework"] != "" && src.has("artisan")
	app.symfony = manifest.Require["symfony/framework-bundle"] != "" && src.has("bin/console")
	plan := &Plan{
		Language: "PHP", Reasons: []string{evidence}, Port: defaultPort, Need: phpVersion(manifest), Render: app.render,
		Processes: models.Processes{models.WebProcess: phpCommand()},
	}
	if app.composer && !src.has("composer.lock") {
		plan.Reasons = append(plan.Reasons, "no composer.lock: versions may change between builds")
	}
	if err := app.findWebRoot(src, plan); err != nil {
		return nil, err
	}
	var err error
	app.assets, err = findAssets(src, plan)
	return plan, err
}

func phpCommand() []string { return []string{"apache2", "-DFOREGROUND", "-f", phpConfigPath} }

// phpExtensions are those that the stack's PHP has, by Composer's names without
// "ext-".
var phpExtensions = strings.Fields("amqp apcu bcmath bz2 calendar core ctype curl date dom exif ffi fileinfo filter ftp gd gettext" +
	" gmp hash iconv igbinary intl json ldap libxml mbstring memcached mongodb msgpack mysqli mysqlnd openssl pcntl pcre pdo" +
	" pdo_mysql pdo_pgsql pdo_sqlite pgsql phar posix random readline redis reflection session shmop simplexml soap sockets" +
	" sodium spl sqlite3 standard sysvmsg sysvsem sysvshm tokenizer xml xmlreader xmlwriter xsl zend-opcache opcache zip zlib")

// checkExtensions refuses extensions that what runs would lack.
func checkExtensions(manifest composerJSON) error {
	var missing []string
	for name := range manifest.Require {
		extension, found := strings.CutPrefix(strings.ToLower(name), "ext-")
		if found && !slices.Contains(phpExtensions, extension) {
			missing = append(missing, extension)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return models.Errorf(models.Failed, "composer.json requires PHP extensions that are not there: %s", strings.Join(missing, ", ")).
		WithField("composer.json").WithRemedy("remove them or add a Dockerfile; there are %s", strings.Join(phpExtensions, ", "))
}

// herokuServer matches the programs of Heroku's PHP buildpack that start a web
// server, with their options and the directory that they are to serve.
var herokuServer = regexp.MustCompile(`\bheroku-(?:php|hhvm)-(?:apache2|nginx)\b(.*)$`)

// findWebRoot finds the directory that the web sees: the one that the Procfile
// gives to a server of Heroku's, else public/ or web/, else the root. Those
// servers are no part of an app: Sky's takes their place.
func (a *phpApp) findWebRoot(src source, plan *Plan) error {
	a.dir = path.Dir(src.first("public/index.php", "public/.htaccess", "web/index.php", "composer.json", "index.php"))
	if match := herokuServer.FindStringSubmatch(strings.Join(src.procfile[models.WebProcess], " ")); match != nil {
		a.dir = lastDirectory(match[1])
		plan.Reasons = append(plan.Reasons, "web: Sky's Apache in place of Heroku's server in the Procfile")
		plan.finish = func(plan *Plan) { plan.Processes[models.WebProcess] = phpCommand() }
		if a.dir != "." && !src.hasDir(a.dir) {
			return models.Errorf(models.Failed, "the Procfile serves %s, which is no directory of the repository", a.dir).WithField("Procfile").
				WithRemedy("name the directory that holds index.php, such as `web: vendor/bin/heroku-php-apache2 public/`")
		}
	}
	a.routed = src.has(path.Join(a.dir, ".htaccess")) || !src.has(path.Join(a.dir, "index.php"))
	plan.Reasons = append(plan.Reasons, "web root: "+a.webRoot())
	return nil
}

// lastDirectory is the last word of a command line that is neither an option nor
// an option's value.
func lastDirectory(words string) string {
	fields := strings.Fields(words)
	if len(fields) == 0 {
		return "."
	}
	last := fields[len(fields)-1]
	if strings.HasPrefix(last, "-") || (len(fields) > 1 && regexp.MustCompile(`^-[a-zA-Z]$`).MatchString(fields[len(fields)-2])) {
		return "."
	}
	return path.Clean(strings.Trim(last, "/"))
}

func (a *phpApp) webRoot() string { return path.Join("/app", a.dir) }

// installs reports whether Composer has anything to do: packages beside PHP and
// its extensions, or an autoloader for the app's own classes.
func installs(manifest composerJSON) bool {
	if len(manifest.Autoload) > 0 {
		return true
	}
	for name := range manifest.Require {
		if strings.Contains(name, "/") {
			return true
		}
	}
	return false
}

func phpVersion(manifest composerJSON) *Requirement {
	if wanted := manifest.Config.Platform["php"]; wanted != "" {
		return &Requirement{Type: "php", Constraint: majorMinor(wanted) + ".*", Source: "config.platform.php in composer.json"}
	}
	if wanted := manifest.Require["php"]; wanted != "" {
		return &Requirement{Type: "php", Constraint: commonRange(wanted), Source: "require.php in composer.json"}
	}
	return &Requirement{Type: "php"}
}

// composerTilde is a tilde with two numbers, which Composer reads as npm reads a
// caret: ~8.1 allows 8.2.
var composerTilde = regexp.MustCompile(`~\s*(\d+\.\d+)([^.\d]|$)`)

// commonRange writes a range of Composer's as other package managers do.
func commonRange(text string) string {
	text = composerTilde.ReplaceAllString(text, "^$1$2")
	return strings.ReplaceAll(strings.ReplaceAll(text, "||", "|"), "|", " || ")
}

const phpConfigPath = "/etc/sky/apache.conf"

// phpConfig makes Apache serve the web root without root's rights: its own
// files are in /tmp, its logs are the container's output. .htaccess files work,
// because PHP's frameworks ship them.
const phpConfig = `ServerRoot /etc/apache2
ServerName localhost
PidFile /tmp/apache2.pid
Mutex file:/tmp default
Listen ${PORT}
IncludeOptional /etc/apache2/mods-enabled/*.load
IncludeOptional /etc/apache2/mods-enabled/*.conf
ErrorLog /proc/self/fd/2
LogFormat "%a \"%r\" %>s %b" short
CustomLog /proc/self/fd/1 short
DocumentRoot WEBROOT
DirectoryIndex index.php index.html
<FilesMatch "\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
<Directory WEBROOT>
  AllowOverride All
  Require all granted
</Directory>
<Directory />
  Options -Indexes +FollowSymLinks
</Directory>
RedirectMatch 404 "/\.(?!well-known(/|$))"
RedirectMatch 404 "^/(vendor/|composer\.(json|lock)$|Procfile$)"
SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on
`

// composerSettings keep Composer's cache between builds.
const composerSettings = "COMPOSER_CACHE_DIR=/cache/composer COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=/tmp COMPOSER_NO_INTERACTION=1"

// environment is what a framework needs where nothing but /tmp can be written.
func (a *phpApp) environment() []string {
	switch {
	case a.laravel:
		return []string{
			"APP_ENV=production", "LOG_CHANNEL=stderr", "VIEW_COMPILED_PATH=/tmp/views", "APP_SERVICES_CACHE=/tmp/services.php",
			"APP_CONFIG_CACHE=/tmp/config.php", "APP_ROUTES_CACHE=/tmp/routes.php", "APP_EVENTS_CACHE=/tmp/events.php",
		}
	case a.symfony:
		return []string{"APP_ENV=prod", "APP_DEBUG=0"}
	}
	return nil
}

// writable makes the framework's directories for what it writes links to /tmp.
func (a *phpApp) writable() string {
	switch {
	case a.laravel:
		return "mkdir -p storage/framework/cache && for dir in logs framework/sessions framework/views framework/cache/data; do" +
			" rm -rf storage/$dir && ln -s /tmp storage/$dir; done"
	case a.symfony:
		return "rm -rf var && ln -s /tmp var"
	}
	return ""
}

func (a *phpApp) render(images Images) string {
	file := render(images)
	context := a.assets.stage(file)
	built := a.composer || a.assets != nil || a.command != "" || a.writable() != ""
	if a.composer && !a.fromSource {
		file.from(images.Build, "dependencies")
		file.line("ENV %s", composerSettings)
		file.line("WORKDIR /app")
		file.line("COPY composer.json composer.loc[k] ./")
		file.run("composer install --no-dev --no-scripts --no-autoloader && mkdir -p vendor", cache("composer", "/cache/composer"))
	}
	if built {
		a.renderBuild(file, context)
	}
	file.line("\nFROM %s", images.Run)
	config := strings.ReplaceAll(phpConfig, "WEBROOT", a.webRoot())
	if !a.routed { // every path without a file is the app's, as its front controller expects
		config += "FallbackResource /index.php\n"
	}
	file.line("COPY <<'EOF' %s\n%sEOF", phpConfigPath, config)
	file.line("WORKDIR /app")
	if built {
		file.line("COPY --from=build /app ./")
	} else {
		file.line("COPY . ./")
	}
	return file.last(a.environment()...)
}

func (a *phpApp) renderBuild(file *dockerfile, context string) {
	file.from(file.images.Build, "build")
	file.line("ENV %s", strings.Join(append([]string{composerSettings}, a.environment()...), " "))
	file.line("WORKDIR /app")
	file.line("COPY %s ./", context)
	if a.composer && !a.fromSource {
		file.line("COPY --from=dependencies /app/vendor ./vendor")
		file.line("COPY --from=dependencies /app/composer.loc[k] ./")
	}
	if a.composer {
		file.run("composer install --no-dev --optimize-autoloader", cache("composer", "/cache/composer"))
	}
	if a.command != "" {
		file.run(a.command)
	}
	if command := a.writable(); command != "" {
		file.line("RUN %s", command)
	}
}
