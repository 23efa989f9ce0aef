package buildpacks

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"strings"

	"github.com/skypanel/sky/models"
)

// framework is what a framework's own documentation says about production.
type framework struct {
	name string
	// build is its build command, for an app without a build script.
	build string
	// start is the command that serves the build; nil where site is set.
	start []string
	// site is the directory of a build that needs nothing but a web server, and
	// page what it answers for paths that are no file.
	site string
	page string
	// cache is a directory below the app's that builds keep for the next one, and
	// what runs may write to: it lies in /tmp then.
	cache       string
	environment []string
	// standalone is set where Next.js gathers all that runs in one directory.
	standalone bool
}

// frameworkRule recognises one framework by the package that every app of it
// depends on.
type frameworkRule struct {
	dependency string
	describe   func(source, packageJSON) (framework, error)
}

// frameworks is asked in this order: those that use another one come first.
func frameworks() []frameworkRule {
	return []frameworkRule{
		{"next", nextFramework},
		{"nuxt", nitroFramework("Nuxt", "nuxt build")},
		{"@tanstack/react-start", nitroFramework("TanStack Start", "vite build")},
		{"@solidjs/start", nitroFramework("SolidStart", "vinxi build")},
		{"@react-router/dev", reactRouterFramework},
		{"@remix-run/dev", remixFramework},
		{"@nestjs/core", nestFramework},
		{"@sveltejs/kit", svelteFramework},
		{"astro", astroFramework},
		{"@angular/core", angularFramework},
		{"gatsby", siteFramework("Gatsby", "gatsby build", "public", "")},
		{"@docusaurus/core", siteFramework("Docusaurus", "docusaurus build", "build", "")},
		{"@11ty/eleventy", siteFramework("Eleventy", "eleventy", "_site", "")},
		{"vitepress", siteFramework("VitePress", "vitepress build", ".vitepress/dist", "")},
		{"react-scripts", siteFramework("Create React App", "react-scripts build", "build", indexPage)},
		{"@vue/cli-service", siteFramework("Vue CLI", "vue-cli-service build", "dist", indexPage)},
		{"@rsbuild/core", siteFramework("Rsbuild", "rsbuild build", "dist", indexPage)},
		{"vite", viteFramework},
		{"parcel", siteFramework("Parcel", "parcel build", "dist", indexPage)},
		{"webpack", siteFramework("webpack", "webpack", "dist", indexPage)},
	}
}

// findFramework returns the first framework that the app depends on.
func findFramework(src source, manifest packageJSON) (framework, error) {
	for _, rule := range frameworks() {
		if manifest.uses(rule.dependency) {
			return rule.describe(src, manifest)
		}
	}
	return framework{}, nil
}

func siteFramework(name, build, site, page string) func(source, packageJSON) (framework, error) {
	return func(source, packageJSON) (framework, error) {
		return framework{name: name, build: build, site: site, page: page}, nil
	}
}

func nitroFramework(name, build string) func(source, packageJSON) (framework, error) {
	return func(source, packageJSON) (framework, error) {
		return framework{name: name, build: build, start: []string{"node", ".output/server/index.mjs"}}, nil
	}
}

// config returns the text of the first of a tool's configuration files, by its
// name without the ending.
func (s source) config(names ...string) (string, error) {
	for _, name := range names {
		for _, ending := range []string{".ts", ".mts", ".js", ".mjs", ".cjs"} {
			if text, ok, err := s.read(name + ending); err != nil || ok {
				return text, err
			}
		}
	}
	return "", nil
}

var (
	nextOutput = regexp.MustCompile(`(?m)^[^/\n]*\boutput\s*:\s*["'](standalone|export)["']`)
	ssrOff     = regexp.MustCompile(`(?m)^[^/\n]*\bssr\s*:\s*false`)
	outDir     = regexp.MustCompile(`(?m)^[^/\n]*\boutDir\s*:\s*["']([^"']+)["']`)
)

func nextFramework(src source, _ packageJSON) (framework, error) {
	text, err := src.config("next.config")
	if err != nil {
		return framework{}, err
	}
	found := framework{name: "Next.js", build: "next build", cache: ".next/cache", environment: []string{"HOSTNAME=0.0.0.0", "NEXT_TELEMETRY_DISABLED=1"}}
	switch match := nextOutput.FindStringSubmatch(text); {
	case match != nil && match[1] == "export":
		found.site, found.cache, found.environment = "out", "", nil
	case match != nil && src.root == ".": // below the root, Next.js nests what it gathers
		found.start, found.standalone = []string{"node", "server.js"}, true
	default:
		found.start = []string{"next", "start"}
	}
	return found, nil
}

func reactRouterFramework(src source, manifest packageJSON) (framework, error) {
	text, err := src.config("react-router.config")
	found := framework{name: "React Router", build: "react-router build", start: []string{"react-router-serve", "./build/server/index.js"}}
	if ssrOff.MatchString(text) {
		found.start, found.site, found.page = nil, "build/client", indexPage
	} else if !manifest.uses("@react-router/serve") {
		found.start = nil
	}
	return found, err
}

func remixFramework(src source, manifest packageJSON) (framework, error) {
	text, err := src.config("vite.config")
	found := framework{name: "Remix", build: "remix vite:build", start: []string{"remix-serve", "./build/server/index.js"}}
	if text == "" { // Remix's own compiler, before Vite
		found.build, found.start = "remix build", []string{"remix-serve", "./build/index.js"}
	}
	if ssrOff.MatchString(text) {
		found.start, found.site, found.page = nil, "build/client", indexPage
	} else if !manifest.uses("@remix-run/serve") {
		found.start = nil
	}
	return found, err
}

func nestFramework(source, packageJSON) (framework, error) {
	return framework{name: "NestJS", build: "nest build", start: []string{"node", "dist/main"}}, nil
}

func svelteFramework(src source, manifest packageJSON) (framework, error) {
	found := framework{name: "SvelteKit", build: "vite build"}
	switch {
	case manifest.uses("@sveltejs/adapter-node"):
		found.start = []string{"node", "build"}
	case manifest.uses("@sveltejs/adapter-static"):
		text, err := src.config("svelte.config")
		if err != nil {
			return framework{}, err
		}
		found.site = "build"
		if match := svelteFallback.FindStringSubmatch(text); match != nil {
			found.page = match[1]
		}
	case usable(manifest.Scripts["start"]) || src.has("Procfile") || src.options.StartCommand != "":
	default:
		return framework{}, models.Errorf(models.Failed, "SvelteKit has no adapter that makes a server or a static site").WithField("svelte.config.js").
			WithRemedy("`npm install --save-dev @sveltejs/adapter-node`, import it in svelte.config.js in place of adapter-auto, and push again")
	}
	return found, nil
}

var svelteFallback = regexp.MustCompile(`\bfallback\s*:\s*["']([^"']+)["']`)

func astroFramework(_ source, manifest packageJSON) (framework, error) {
	found := framework{name: "Astro", build: "astro build", site: "dist", environment: []string{"ASTRO_TELEMETRY_DISABLED=1"}}
	if manifest.uses("@astrojs/node") {
		found.site, found.start = "", []string{"node", "./dist/server/entry.mjs"}
	}
	return found, nil
}

func viteFramework(src source, _ packageJSON) (framework, error) {
	text, err := src.config("vite.config")
	found := framework{name: "Vite", build: "vite build", site: "dist", page: indexPage}
	if match := outDir.FindStringSubmatch(text); match != nil && fs.ValidPath(path.Clean(match[1])) {
		found.site = path.Clean(match[1])
	}
	return found, err
}

// angularJSON is what we read of angular.json, as angular.dev describes the
// workspace configuration.
type angularJSON struct {
	DefaultProject string `json:"defaultProject"`
	Projects       map[string]struct {
		Type      string `json:"projectType"`
		Architect struct {
			Build struct {
				Builder string `json:"builder"`
				Options struct {
					OutputPath json.RawMessage `json:"outputPath"`
					SSR        json.RawMessage `json:"ssr"`
				} `json:"options"`
			} `json:"build"`
		} `json:"architect"`
	} `json:"projects"`
}

func angularFramework(src source, _ packageJSON) (framework, error) {
	file := angularJSON{}
	if _, err := src.readJSON("angular.json", &file); err != nil {
		return framework{}, err
	}
	found := framework{name: "Angular", build: "ng build", page: indexPage}
	name := file.application()
	project := file.Projects[name].Architect.Build
	site := path.Join("dist", name)
	var object struct {
		Base    string  `json:"base"`
		Browser *string `json:"browser"`
	}
	switch {
	case json.Unmarshal(project.Options.OutputPath, &site) == nil:
	case json.Unmarshal(project.Options.OutputPath, &object) == nil && object.Base != "":
		site = object.Base
	}
	found.site = site
	if strings.HasSuffix(project.Builder, ":application") {
		found.site = path.Join(site, "browser")
	}
	if object.Browser != nil {
		found.site = path.Join(site, *object.Browser)
	}
	if ssr := string(project.Options.SSR); ssr != "" && ssr != "false" {
		found.site, found.page, found.start = "", "", []string{"node", path.Join(site, "server/server.mjs")}
	}
	return found, nil
}

// application is the project that `ng build` builds: the default one, else the
// first that is no library.
func (a angularJSON) application() string {
	if a.DefaultProject != "" {
		return a.DefaultProject
	}
	var names []string
	for name, project := range a.Projects {
		if project.Type != "library" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// uses reports whether a package is among the dependencies of either kind.
func (p packageJSON) uses(name string) bool {
	return p.Dependencies[name] != "" || p.DevDependencies[name] != ""
}

// development matches the commands that serve an app from its sources while it
// is worked on, or show a build to the developer alone.
var development = regexp.MustCompile(`^(?:(?:cross-env|env|\w+=\S*)\s+)*(?:npx\s+)?(?:` + strings.Join([]string{
	`vite(?: (?:dev|serve|preview))?`, `react-scripts start`, `ng serve`, `ng s`, `vue-cli-service serve`,
	`astro(?: (?:dev|preview|start))?`, `next dev`, `next`, `nuxt(?: dev| start| preview)?`, `nuxi (?:dev|preview)`, `webpack serve`, `webpack-dev-server`,
	`webpack --watch`, `parcel(?: serve)?(?: \S+\.html)?`, `gatsby (?:develop|serve)`, `vitepress (?:dev|preview|serve)`,
	`docusaurus (?:start|serve)`, `eleventy --serve`, `remix dev`, `remix vite:dev`, `react-router dev`, `rsbuild (?:dev|preview)`,
	`vinxi (?:dev|start)`, `craco start`, `nest start`, `nest start --watch`, `svelte-kit dev`,
}, "|") + `)(?: -.*)?$`)

// usable reports whether a start script is there that runs in production.
func usable(script string) bool {
	return script != "" && !development.MatchString(strings.TrimSpace(script))
}

// siteReason says which web server's files the build makes.
func (f framework) reason() string {
	if f.site != "" {
		return fmt.Sprintf("%s: the build in %s is served as a site", f.name, f.site)
	}
	return f.name + ": " + strings.Join(f.start, " ")
}
