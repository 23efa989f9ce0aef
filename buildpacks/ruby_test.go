package buildpacks

import (
	"testing"
)

const railsLock = "GEM\n  specs:\n    puma (6.4.0)\n    railties (7.1.0)\n    sprockets-rails (3.4.2)\n    execjs (2.9.1)\n\nRUBY VERSION\n   ruby 3.1.4p223\n"

func TestRubyDockerfiles(t *testing.T) {
	exec := func(command string) []string { return []string{"/bin/sh", "-c", "exec " + command} }
	checkGoldens(t, map[string]goldenCase{
		"ruby-script": {files: repo{"app.rb": ""}, web: []string{"ruby", "app.rb"}, reasons: "app.rb; start: app.rb"},
		"ruby-rack": {
			files:   repo{"Gemfile": "gem 'puma'\n", "config.ru": "", "vendor/cache/a.gem": ""},
			web:     exec("bundle exec puma -b tcp://0.0.0.0:$PORT"),
			reasons: "Gemfile; no Gemfile.lock: versions may change between builds; start: config.ru under Puma",
		},
		"ruby-rails": {
			files:   repo{"Gemfile": "gem 'rails'\n", "Gemfile.lock": railsLock, "config.ru": "", "config/puma.rb": ""},
			images:  Images{Tools: map[string]string{"node": "node:1"}},
			web:     []string{"bundle", "exec", "puma", "-C", "config/puma.rb"},
			reasons: "Gemfile; Node.js while assets are compiled; start: Rails under Puma",
		},
	})
}

func TestRubyVersions(t *testing.T) {
	for name, test := range map[string]struct {
		files repo
		want  Requirement
	}{
		"none":           {repo{"Gemfile": ""}, Requirement{Type: "ruby"}},
		"lock":           {repo{"Gemfile": "ruby '~> 3.1'\n", "Gemfile.lock": railsLock}, Requirement{"ruby", "3.1", "Gemfile.lock"}},
		".ruby-version":  {repo{"Gemfile": "ruby file: '.ruby-version'\n", ".ruby-version": "ruby-3.3.1\n"}, Requirement{"ruby", "3.3", ".ruby-version"}},
		"exact":          {repo{"Gemfile": "ruby \"3.2.1\"\n"}, Requirement{"ruby", "3.2", "Gemfile"}},
		"pessimistic":    {repo{"Gemfile": "ruby '~> 3.1'\n"}, Requirement{"ruby", "^3.1", "Gemfile"}},
		"patches":        {repo{"Gemfile": "ruby '~> 3.1.2'\n"}, Requirement{"ruby", "~ 3.1.2", "Gemfile"}},
		"two":            {repo{"Gemfile": "ruby '>= 3.1', '< 3.4'\n"}, Requirement{"ruby", ">= 3.1, < 3.4", "Gemfile"}},
		".tool-versions": {repo{"Gemfile": "", ".tool-versions": "ruby 3.3.6\n"}, Requirement{"ruby", "3.3", ".tool-versions"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["Procfile"] = "web: start"
			requireNeed(t, test.files, test.want)
		})
	}
}
