package buildpacks

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

// composerJSON is what we read of Composer's manifest, as getcomposer.org
// describes its schema.
type composerJSON struct {
	Require  map[string]string `json:"require"`
	Autoload json.RawMessage   `json:"autoload"`
	Config   struct {
		Platform map[string]string `json:"platform"`
	} `json:"config"`
}

// phpApp is a PHP repository: whether Composer installs anything, and which
// directory the web sees.
type phpApp struct {
	composer bool
	lock     bool
	webRoot  string
}

func detectPHP(src source) (*Plan, error) {
	evidence := src.first("composer.json", "index.php", "public/index.php")
	if evidence == "" {
		return nil, nil
	}
	manifest := composerJSON{}
	if _, err := src.readJSON("composer.json", &manifest); err != nil {
		return nil, err
	}
	app := phpApp{composer: installs(manifest), lock: src.has("composer.lock"), webRoot: "/app"}
	if src.first("public/index.php", "public/.htaccess") != "" {
		app.webRoot = "/app/public"
	}
	plan := &Plan{
		Language: "PHP", Reasons: []string{evidence, "web root: " + app.webRoot}, Port: defaultPort,
		Need: phpVersion(manifest), Render: app.render,
		Processes: models.Processes{models.WebProcess: {"apache2", "-DFOREGROUND", "-f", phpConfigPath}},
	}
	return plan, nil
}

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
<DirectoryMatch "/\.git|/\.env">
  Require all denied
</DirectoryMatch>
`

func (a phpApp) render(images Images) string {
	file := render(images)
	if a.composer {
		file.from(images.Build, "dependencies")
		file.line("WORKDIR /app")
		file.line("COPY . ./")
		file.line("ENV COMPOSER_CACHE_DIR=/cache/composer COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=/tmp")
		file.run("composer install --no-dev --no-interaction --optimize-autoloader", cache("composer", "/cache/composer"))
	}
	file.line("\nFROM %s", images.Run)
	file.line("COPY <<'EOF' %s\n%sEOF", phpConfigPath, strings.ReplaceAll(phpConfig, "WEBROOT", a.webRoot))
	file.line("WORKDIR /app")
	if a.composer {
		file.line("COPY --from=dependencies /app ./")
	} else {
		file.line("COPY . ./")
	}
	return file.last()
}
