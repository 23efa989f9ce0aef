package buildpacks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPHPDockerfiles(t *testing.T) {
	const autoload = `{"autoload": {"psr-4": {"App\\": "src/"}}}`
	checkGoldens(t, map[string]goldenCase{
		"php-plain": {files: repo{"index.php": "<?php"}, web: phpCommand(), reasons: "index.php; web root: /app"},
		"php-composer": {
			files: repo{"composer.json": `{"require": {"php": "^8.1", "slim/slim": "4"}}`, "composer.lock": "{}", "public/index.php": "<?php"},
			web:   phpCommand(), reasons: "composer.json; web root: /app/public",
		},
		"php-autoload": {
			files: repo{"composer.json": autoload, "index.php": "<?php"}, web: phpCommand(),
			reasons: "composer.json; no composer.lock: versions may change between builds; web root: /app",
		},
		"php-laravel": {
			files: repo{
				"composer.json": `{"require": {"laravel/framework": "^11", "ext-pdo_pgsql": "*"}}`, "composer.lock": "{}", "artisan": "",
				"public/index.php": "", "public/.htaccess": "", "package.json": `{"scripts": {"build": "vite build"}}`,
			},
			images: Images{Tools: map[string]string{"node": "node:1"}},
			web:    phpCommand(), reasons: "composer.json; web root: /app/public; assets: scripts.build in package.json",
		},
		"php-symfony-heroku": {
			files: repo{
				"composer.json": `{"require": {"symfony/framework-bundle": "^7"}}`, "composer.lock": "{}", "bin/console": "",
				"public/index.php": "", "Procfile": "web: vendor/bin/heroku-php-nginx -C nginx.conf public/\n",
			},
			web:     phpCommand(),
			reasons: "composer.json; web: Sky's Apache in place of Heroku's server in the Procfile; web root: /app/public; processes from Procfile: web",
		},
	})
}

func TestPHPRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		files           repo
		message, remedy string
	}{
		"extension": {repo{"composer.json": `{"require": {"ext-imagick": "*", "ext-swoole": "*", "ext-json": "*"}}`}, "extensions that are not there: imagick, swoole", "there are amqp, apcu"},
		"web root":  {repo{"index.php": "", "Procfile": "web: vendor/bin/heroku-php-apache2 pub/"}, "the Procfile serves pub", "heroku-php-apache2 public/"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefusal(t, test.files, Options{}, test.message, test.remedy)
		})
	}
}

func TestHerokuWebRoots(t *testing.T) {
	for words, want := range map[string]string{
		"": ".", " public/": "public", " -C apache.conf web": "web", " -C apache.conf": ".", " -v": ".", " ./": ".",
	} {
		require.Equal(t, want, lastDirectory(words), words)
	}
}
