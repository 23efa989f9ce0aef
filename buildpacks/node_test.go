package buildpacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const (
	yarnLock  = "# yarn lockfile v1\n"
	berryLock = "__metadata:\n  version: 8\n"
	pnpmLock  = "lockfileVersion: '9.0'\n"
)

// TestNodeGolden holds Node.js repositories against the Dockerfile that we want
// for each.
func TestNodeGolden(t *testing.T) {
	checkGoldens(t, map[string]goldenCase{
		"node-no-dependencies": {
			files: repo{"package.json": `{"main": "main.js"}`, "main.js": nodeMain},
			web:   []string{"node", "main.js"}, reasons: "package.json; start: main in package.json",
		},
		"node-locked": {
			files: repo{
				"package.json":      `{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}, "engines": {"node": "22"}}`,
				"package-lock.json": "{}", ".npmrc": "fund=false", "server.js": nodeMain,
			},
			web: []string{"node", "server.js"}, reasons: "package.json; start: scripts.start",
		},
		"node-unlocked": {
			files:   repo{"package.json": `{"dependencies": {"express": "4"}}`, "server.js": nodeMain},
			web:     []string{"node", "server.js"},
			reasons: "package.json; no package-lock.json: versions may change between builds; start: server.js",
		},
		"node-build": {
			files: repo{
				"package.json":      `{"scripts": {"start": "node dist/main.js", "build": "tsc"}, "devDependencies": {"typescript": "5"}}`,
				"package-lock.json": "{}",
			},
			web: []string{"node", "dist/main.js"}, reasons: "package.json; start: scripts.start",
		},
		"node-build-no-dependencies": {
			files: repo{"package.json": `{"scripts": {"start": "node out.js", "build": "cp in.js out.js"}}`},
			web:   []string{"node", "out.js"}, reasons: "package.json; start: scripts.start",
		},
		"node-postinstall": {
			files: repo{
				"package.json":      `{"scripts": {"prestart": "echo", "start": "node .", "postinstall": "node make.js"}, "dependencies": {"a": "1"}, "devDependencies": {"b": "1"}}`,
				"package-lock.json": "{}",
			},
			web: []string{"/bin/sh", "-c", "echo && exec node ."}, reasons: "package.json; start: scripts.start",
		},
		"node-workspaces-build": {
			files: repo{
				"package.json":      `{"workspaces": ["packages/*"], "scripts": {"build": "tsc -b", "start": "node packages/web"}, "devDependencies": {"typescript": "5"}}`,
				"package-lock.json": "{}", "packages/web/package.json": `{"name": "web"}`, "packages/node_modules/x/package.json": `{}`,
			},
			web: []string{"node", "packages/web"}, reasons: "package.json; start: scripts.start",
		},
		"node-private-ca-and-variables": {
			files:  repo{"package.json": `{"dependencies": {"express": "4"}, "packageManager": "pnpm@10.1.0+sha512.abc"}`, "pnpm-lock.yaml": pnpmLock, "index.js": nodeMain},
			images: Images{ExtraCA: true, Variables: true},
			web:    []string{"node", "index.js"}, reasons: "package.json; pnpm 10.1.0 from packageManager; start: index.js",
		},
		"node-yarn": {
			files: repo{
				"package.json": `{"scripts": {"start": "NODE_ENV=production node dist", "build": "tsc"}, "devDependencies": {"typescript": "5"}}`,
				"yarn.lock":    yarnLock,
			},
			web: []string{"/bin/sh", "-c", "exec env NODE_ENV=production node dist"}, reasons: "package.json; yarn 1 from yarn.lock; start: scripts.start",
		},
		"node-yarn-plug-n-play": {
			files: repo{
				"package.json": `{"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}, "devDependencies": {"typescript": "5"}, "packageManager": "yarn@4.5.0"}`,
				"yarn.lock":    berryLock, ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.0.cjs\n", ".yarn/releases/yarn-4.5.0.cjs": "",
			},
			web: []string{"yarn", "run", "start"}, reasons: "package.json; yarn 4.5.0 from packageManager; start: scripts.start",
		},
		"node-yarn-3-modules": {
			files: repo{
				"package.json": `{"main": "index.js", "dependencies": {"express": "4"}, "devDependencies": {"typescript": "5"}}`, "index.js": "",
				"yarn.lock": "__metadata:\n  version: 6\n", ".yarnrc.yml": "nodeLinker: node-modules\n",
			},
			web: []string{"node", "index.js"}, reasons: "package.json; yarn 3 from yarn.lock; start: main in package.json",
		},
		"node-pnpm-workspace": {
			files: repo{
				"package.json": `{"name": "top", "devDependencies": {"typescript": "5"}}`, "pnpm-lock.yaml": pnpmLock,
				"pnpm-workspace.yaml":          "packages:\n  - apps/*\n  - packages/**\n  - '!**/test'\n",
				"apps/web/package.json":        `{"name": "web", "scripts": {"start": "node server.js", "build": "tsc"}, "dependencies": {"a": "workspace:*"}}`,
				"packages/a/package.json":      `{"name": "a", "scripts": {"build": "tsc"}, "dependencies": {"b": "workspace:*"}}`,
				"packages/deep/b/package.json": `{"name": "b", "scripts": {"build": "tsc"}}`,
				"packages/a/test/package.json": `{"name": "no"}`,
			},
			options: Options{Root: "apps/web"},
			web:     []string{"node", "server.js"}, reasons: "package.json; pnpm 10 from pnpm-lock.yaml; start: scripts.start",
		},
		"node-turbo": {
			files: repo{
				"package.json": `{"workspaces": ["apps/*"], "devDependencies": {"turbo": "2"}, "packageManager": "npm@10.9.0"}`, "package-lock.json": "{}",
				"turbo.json": "{}", "apps/web/package.json": `{"name": "web", "scripts": {"start": "node server.js", "build": "tsc"}}`,
			},
			options: Options{Root: "apps/web"},
			web:     []string{"node", "server.js"}, reasons: "package.json; npm 10.9.0 from packageManager; start: scripts.start",
		},
		"node-bun": {
			files: repo{"package.json": `{"dependencies": {"hono": "4"}, "devDependencies": {"x": "1"}}`, "bun.lock": "{}", "index.ts": ""},
			web:   []string{"bun", "index.ts"}, reasons: "package.json; bun 1 from bun.lock; start: index.ts",
		},
		"node-npm-installs-and-bun-runs": {
			files: repo{"package.json": `{"scripts": {"start": "bun app.js"}, "dependencies": {"a": "1"}}`, "package-lock.json": "{}"},
			web:   []string{"bun", "app.js"}, reasons: "package.json; start: scripts.start",
		},
		"node-heroku": {
			files: repo{
				"package.json":      `{"scripts": {"build": "no", "heroku-prebuild": "echo 1", "heroku-postbuild": "webpack", "heroku-cleanup": "rm -rf src", "serve": "node serve.js"}, "dependencies": {"a": "1"}, "devDependencies": {"webpack": "5"}}`,
				"package-lock.json": "{}", "Procfile": "web: npm run serve\nworker: yarn work\n",
			},
			web: []string{"node", "serve.js"}, reasons: "package.json; processes from Procfile: web, worker",
		},
		"node-build-command": {
			files: repo{
				"package.json": `{"scripts": {"build": "no", "start": "npm run build && ts-node src"}, "devDependencies": {"ts-node": "10"}}`, "package-lock.json": "{}",
			},
			options: Options{BuildCommand: "make dist"},
			web:     []string{"ts-node", "src"}, reasons: "package.json; start: scripts.start; dev dependencies are kept: what starts uses ts-node",
		},
		"node-next": {
			files: repo{
				"package.json":      `{"scripts": {"dev": "next dev", "build": "next build", "start": "next start"}, "dependencies": {"next": "15", "react": "19"}, "devDependencies": {"typescript": "5"}}`,
				"package-lock.json": "{}", "next.config.mjs": "export default {\n  // output: 'standalone',\n}\n",
			},
			web: []string{"next", "start"}, reasons: "package.json; start: scripts.start",
		},
		"node-next-standalone": {
			files: repo{
				"package.json":      `{"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "15", "react": "19"}}`,
				"package-lock.json": "{}", "next.config.js": "module.exports = { output: 'standalone' }\n", "public/x.svg": "",
			},
			web: []string{"node", "server.js"}, reasons: "package.json; start: Next.js standalone output",
		},
		"node-vite": {
			images: Images{Tools: map[string]string{"node": "node:1"}},
			files: repo{
				"package.json":      `{"scripts": {"start": "vite --host", "build": "vite build"}, "devDependencies": {"vite": "6"}}`,
				"package-lock.json": "{}", "vite.config.ts": "export default {\n build: { outDir: './site' } }\n",
			},
			web: staticCommand(), reasons: "package.json; scripts.start (vite --host) is for development; the build in site is served as a site; other paths get index.html",
		},
	})
}

// TestNodeRefusals are the Node.js repositories that cannot be built.
func TestNodeRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		files   repo
		message string
		remedy  string
	}{
		"bad JSON":          {repo{"package.json": "{,}"}, "package.json is not valid JSON", "git diff"},
		"engines as a list": {repo{"package.json": `{"engines": ["node"]}`}, "package.json: engines must not be a JSON array", "documentation"},
		"no start":          {repo{"package.json": "{}"}, "Node.js was recognised, but not how to start it", "Procfile"},
		"packageManager":    {repo{"package.json": `{"packageManager": "pnpm"}`}, `packageManager in package.json is "pnpm"`, "pnpm@10.5.2"},
		"bad YAML":          {repo{"package.json": "{}", "pnpm-workspace.yaml": "packages: [a"}, "pnpm-workspace.yaml is not valid YAML", "git diff"},
		"SvelteKit": {
			repo{"package.json": `{"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-auto": "3"}}`},
			"SvelteKit has no adapter", "@sveltejs/adapter-node",
		},
		"workspace": {
			repo{"package.json": `{"workspaces": {"packages": ["apps/*"]}}`, "apps/web/package.json": `{"scripts": {"start": "node ."}}`},
			"the repository is a workspace", "root-dir=apps/web",
		},
		"versions that contradict": {repo{"package.json": `{"engines": {"node": "18.x"}}`, ".nvmrc": "20", "index.js": ""}, "engines.node asks for 18.x, but .nvmrc for 20", "same version"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefusal(t, test.files, Options{}, test.message, test.remedy)
		})
	}
}

func TestNodeVersions(t *testing.T) {
	for name, test := range map[string]struct {
		files repo
		want  Requirement
	}{
		"default":        {repo{"package.json": "{}"}, Requirement{Type: "node"}},
		"engines":        {repo{"package.json": `{"engines": {"node": ">=20 <23"}}`, ".nvmrc": "22"}, Requirement{"node", ">=20 <23", "engines.node"}},
		".nvmrc":         {repo{"package.json": "{}", ".nvmrc": "# ours\n\nv20.11.0\n"}, Requirement{"node", "20.11.0", ".nvmrc"}},
		".nvmrc lts":     {repo{"package.json": "{}", ".nvmrc": "lts/iron"}, Requirement{"node", "lts/iron", ".nvmrc"}},
		".node-version":  {repo{"package.json": "{}", ".node-version": "22"}, Requirement{"node", "22", ".node-version"}},
		"Volta":          {repo{"package.json": `{"volta": {"node": "20.1.0"}}`}, Requirement{"node", "20.1.0", "volta.node"}},
		"Windows editor": {repo{"package.json": "\ufeff{\"engines\": {\"node\": \"22\"}}\r\n"}, Requirement{"node", "22", "engines.node"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["index.js"] = ""
			requireNeed(t, test.files, test.want)
		})
	}
}

// TestManagers chooses package managers and their versions.
func TestManagers(t *testing.T) {
	for name, test := range map[string]struct {
		files   repo
		program string
		reasons []string
	}{
		"none": {repo{"package.json": "{}"}, "npm@", nil},
		"npm":  {repo{"package.json": "{}", "npm-shrinkwrap.json": "{}"}, "npm@", nil},
		"two lock files": {
			repo{"package.json": "{}", "package-lock.json": "{}", "yarn.lock": yarnLock}, "yarn@1",
			[]string{"yarn 1 from yarn.lock", "package-lock.json is ignored: yarn.lock says yarn; remove one"},
		},
		"packageManager wins": {
			repo{"package.json": `{"packageManager": "npm@10.8.2"}`, "pnpm-lock.yaml": pnpmLock}, "npm@10.8.2",
			[]string{"npm 10.8.2 from packageManager", "pnpm-lock.yaml is ignored: packageManager says npm; remove one"},
		},
		"engines.pnpm": {repo{"package.json": `{"engines": {"pnpm": "^9"}}`, "pnpm-lock.yaml": pnpmLock}, "pnpm@^9", []string{"pnpm ^9 from pnpm-lock.yaml"}},
		"old pnpm":     {repo{"package.json": "{}", "pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm@8", []string{"pnpm 8 from pnpm-lock.yaml"}},
		"older pnpm":   {repo{"package.json": "{}", "pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm@7", []string{"pnpm 7 from pnpm-lock.yaml"}},
		"bun":          {repo{"package.json": "{}", "bun.lockb": ""}, "bun@1", []string{"bun 1 from bun.lockb"}},
		"yarn 1":       {repo{"package.json": `{"packageManager": "yarn@1.22.22"}`}, "yarn@1.22.22", []string{"yarn 1.22.22 from packageManager"}},
		"yarn 4":       {repo{"package.json": "{}", "yarn.lock": berryLock}, "@yarnpkg/cli-dist@4", []string{"yarn 4 from yarn.lock"}},
	} {
		t.Run(name, func(t *testing.T) {
			var manifest packageJSON
			src := source{files: test.files.fs()}
			_, err := src.readJSON("package.json", &manifest)
			require.NoError(t, err)
			chosen, reasons, err := chooseManager(src, manifest)
			require.NoError(t, err)
			require.Equal(t, test.program, chosen.program+"@"+chosen.version)
			require.Equal(t, test.reasons, reasons)
		})
	}
}

// TestStartCommands resolves scripts to what is really run.
func TestStartCommands(t *testing.T) {
	for name, test := range map[string]struct {
		manifest string
		procfile string
		want     []string
	}{
		"chain":             {`{"scripts": {"start": "node migrate && node server"}}`, "", []string{"/bin/sh", "-c", "node migrate && exec node server"}},
		"script of scripts": {`{"scripts": {"start": "npm run serve", "serve": "yarn prod", "prod": "node x"}}`, "", []string{"node", "x"}},
		"endless":           {`{"scripts": {"start": "npm start"}}`, "", []string{"npm", "start"}},
		"build first":       {`{"scripts": {"start": "npm run build && node x", "build": "tsc"}}`, "", []string{"node", "x"}},
		"npm's variables":   {`{"scripts": {"start": "node x $npm_package_version"}}`, "", []string{"npm", "run", "start"}},
		"with arguments":    {`{"scripts": {"start": "node x"}}`, "web: npm start -- --port 1", []string{"npm", "start", "--", "--port", "1"}},
		"Heroku":            {`{"scripts": {"start": "node x"}}`, "web: npm start", []string{"node", "x"}},
		"yarn":              {`{"scripts": {"start": "node x"}}`, "web: yarn start", []string{"node", "x"}},
		"shell":             {`{"scripts": {"start": "(node x; node y) | cat"}}`, "", []string{"/bin/sh", "-c", "(node x; node y) | cat"}},
		"variables":         {`{"scripts": {"start": "A=1 B=2 node x"}}`, "", []string{"/bin/sh", "-c", "exec env A=1 B=2 node x"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := repo{"package.json": test.manifest}
			if test.procfile != "" {
				files["Procfile"] = test.procfile
			}
			plan, err := Detect(files.fs(), Options{})
			require.NoError(t, err)
			require.Equal(t, test.want, plan.Processes[models.WebProcess])
		})
	}
}

// TestFrameworks serves each framework's build as its documentation says, where
// the start script is for development alone.
func TestFrameworks(t *testing.T) {
	for name, test := range map[string]struct {
		dependencies string
		script       string
		files        repo
		want         string
	}{
		"Next.js":                 {"next", "next dev", nil, "next start"},
		"Next.js export":          {"next", "next start", repo{"next.config.js": "x = {\n output: 'export' }"}, "site out"},
		"Nuxt":                    {"nuxt", "nuxt dev", nil, "node .output/server/index.mjs"},
		"React Router":            {"@react-router/dev,@react-router/serve", "", nil, "react-router-serve ./build/server/index.js"},
		"React Router in browser": {"@react-router/dev", "", repo{"react-router.config.ts": "export default {\n  ssr: false,\n}"}, "site build/client"},
		"Remix":                   {"@remix-run/dev,@remix-run/serve", "", repo{"vite.config.ts": "x"}, "remix-serve ./build/server/index.js"},
		"Remix before Vite":       {"@remix-run/dev,@remix-run/serve", "remix dev", nil, "remix-serve ./build/index.js"},
		"NestJS":                  {"@nestjs/core", "nest start", nil, "node dist/main"},
		"Astro":                   {"astro", "astro dev", nil, "site dist"},
		"Astro on Node.js":        {"astro,@astrojs/node", "astro preview", nil, "node ./dist/server/entry.mjs"},
		"SvelteKit":               {"@sveltejs/kit,@sveltejs/adapter-node,vite", "", nil, "node build"},
		"SvelteKit static":        {"@sveltejs/kit,@sveltejs/adapter-static,vite", "vite dev", nil, "site build"},
		"Create React App":        {"react-scripts", "react-scripts start", nil, "site build"},
		"Vue CLI":                 {"@vue/cli-service", "vue-cli-service serve --open", nil, "site dist"},
		"Vite":                    {"vite", "vite preview --port $PORT", nil, "site dist"},
		"Vite with a server":      {"vite,express", "", repo{"server.js": ""}, "node server.js"},
		"Angular":                 {"@angular/core", "ng serve", repo{"angular.json": angular("browser", `"dist/x"`, "")}, "site dist/x"},
		"Angular application":     {"@angular/core", "ng serve", repo{"angular.json": angular("application", `{"base": "out"}`, "")}, "site out/browser"},
		"Angular with a server":   {"@angular/core", "ng serve", repo{"angular.json": angular("application", `"dist/shop"`, `, "ssr": {"entry": "x"}`)}, "node dist/shop/server/server.mjs"},
		"Gatsby":                  {"gatsby", "gatsby develop", nil, "site public"},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := packageJSON{Scripts: map[string]string{"start": test.script}, Dependencies: map[string]string{}}
			for _, dependency := range strings.Split(test.dependencies, ",") {
				manifest.Dependencies[dependency] = "1"
			}
			text, err := json.Marshal(manifest)
			require.NoError(t, err)
			files := repo{"package.json": string(text)}
			maps.Copy(files, test.files)
			plan, err := Detect(files.fs(), Options{})
			require.NoError(t, err)
			if site, ok := strings.CutPrefix(test.want, "site "); ok {
				require.Contains(t, plan.Reasons, "the build in "+site+" is served as a site")
				require.Equal(t, "static", plan.Need.Type)
				return
			}
			require.Equal(t, test.want, strings.Join(plan.Processes[models.WebProcess], " "))
		})
	}
}

func angular(builder, output, more string) string {
	return fmt.Sprintf(`{"projects": {"shop": {"architect": {"build": {"builder": "@angular/build:%s", "options": {"outputPath": %s%s}}}}}}`, builder, output, more)
}
