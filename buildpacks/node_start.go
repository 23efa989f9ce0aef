package buildpacks

import (
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// start finds the command that serves the app: its start script where that is
// one for production, else what its framework's documentation says, else the
// file that Node.js's users expect.
func (a *nodeApp) start() (command []string, reason string) {
	script := a.manifest.Scripts["start"]
	if a.framework.standalone && (script == "" || script == "next start" || !usable(script)) {
		return a.framework.start, "Next.js standalone output"
	}
	exported := a.framework.site != "" && strings.HasPrefix(script, "next start")
	if usable(script) && !exported {
		return []string{a.manager.name, "run", "start"}, "scripts.start"
	}
	if a.framework.name == "NestJS" && a.manifest.Scripts["start:prod"] != "" {
		return []string{a.manager.name, "run", "start:prod"}, "scripts.start:prod"
	}
	if a.framework.start != nil {
		return a.framework.start, a.framework.reason()
	}
	return a.startFile()
}

// startFile starts the file that is the app's entry. Bun's users expect theirs
// to be run by Bun.
func (a *nodeApp) startFile() (command []string, reason string) {
	runtime := "node"
	if a.manager.name == "bun" {
		runtime = "bun"
	}
	names := []string{"server.js"}
	if a.framework.site == "" {
		if main := strings.TrimPrefix(a.manifest.Main, "./"); a.src.has(main) {
			return []string{runtime, main}, "main in package.json"
		}
		names = append(names, "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "src/index.js", "src/server.js")
	}
	if runtime == "bun" {
		names = append(names, "index.ts", "server.ts", "src/index.ts", "src/server.ts", "index.tsx", "src/index.tsx")
	}
	if name := a.src.first(names...); name != "" {
		return []string{runtime, name}, name
	}
	return nil, ""
}

// finish looks at the commands that will really be run, those of a Procfile too:
// scripts of package.json are run without a package manager between where that
// comes to the same, and programs that are dev dependencies stay installed.
func (a *nodeApp) finish(plan *Plan) {
	a.gather(plan)
	for _, process := range sortedKeys(plan.Processes) {
		command := a.direct(plan.Processes[process])
		plan.Processes[process] = command
		line := a.reachable(strings.Join(command, " "))
		a.needsManager = a.needsManager || managerWord(a.manager.name).MatchString(line)
		a.needsManager = a.useOthers(line) || a.needsManager
		if a.keepDev == "" {
			a.keepDev = a.devProgram(line)
		}
	}
	for _, step := range a.buildSteps() {
		a.useOthers(a.reachable(step))
	}
	if setting := a.keepSetting(); setting != "" {
		a.keepDev = setting
	}
	if a.keepDev != "" && !a.site {
		plan.Reasons = append(plan.Reasons, "dev dependencies are kept: "+a.keepDev)
	}
	if a.manager.pnp && !a.site {
		a.needsManager = true
	}
}

// gather uses what Next.js gathers for its own server, where that is all that
// runs; anything else needs the whole app.
func (a *nodeApp) gather(plan *Plan) {
	web := plan.Processes[models.WebProcess]
	if !a.framework.standalone || !slices.Equal(web, a.framework.start) {
		return
	}
	a.standalone = len(plan.Processes) == 1
	if !a.standalone {
		plan.Processes[models.WebProcess] = []string{"next", "start"}
	}
}

// keepSetting returns a config variable that keeps dev dependencies, as Heroku
// and the package managers name them.
func (a *nodeApp) keepSetting() string {
	for _, setting := range []string{"NPM_CONFIG_PRODUCTION=false", "YARN_PRODUCTION=false", "PNPM_SKIP_PRUNING=true", "YARN2_SKIP_PRUNING=true", "NODE_ENV=development"} {
		name, value, _ := strings.Cut(setting, "=")
		if a.src.options.Config[name] == value {
			return setting
		}
	}
	return ""
}

// direct replaces a package manager that runs one script by the script's own
// command, which then gets the signals. What needs the package manager's own
// variables keeps it.
func (a *nodeApp) direct(command []string) []string {
	if a.manager.pnp {
		return a.underYarn(command)
	}
	for range 5 { // a script that runs a script, and so on
		line, ok := a.scriptOf(command)
		if !ok {
			break
		}
		command = argv(line)
	}
	return execLast(command)
}

// underYarn runs a command where packages have no node_modules: by Yarn, which
// tells Node.js where they are.
func (a *nodeApp) underYarn(command []string) []string {
	switch {
	case len(command) == 0 || command[0] == "yarn" || command[0] == "nginx":
		return command
	case command[0] == "node":
		return append([]string{"yarn"}, command...)
	default:
		return append([]string{"yarn", "exec"}, command...)
	}
}

var runWord = []string{"run", "run-script"}

// scriptOf returns the command line of the script that command runs, and of the
// one that runs before it; false where it is anything else.
func (a *nodeApp) scriptOf(command []string) (string, bool) {
	if len(command) < 2 || !slices.Contains([]string{"npm", "yarn", "pnpm", "bun"}, command[0]) {
		return "", false
	}
	words := command[1:]
	if len(words) == 2 && slices.Contains(runWord, words[0]) {
		words = words[1:]
	} else if command[0] == "npm" && words[0] != "start" {
		return "", false
	}
	script := a.manifest.Scripts[words[0]]
	if len(words) != 1 || script == "" {
		return "", false
	}
	if before := a.manifest.Scripts["pre"+words[0]]; before != "" && a.manager.program != berryKind.program {
		script = before + " && " + script
	}
	script = a.withoutBuild(script)
	return script, !strings.Contains(script, "npm_")
}

// buildFirst matches a script that builds before it starts: "npm run build && x".
var buildFirst = regexp.MustCompile(`^(?:npm run|yarn run|yarn|pnpm run|pnpm|bun run) ([\w:-]+)\s*&&\s*`)

// withoutBuild leaves out the build in front of a start command: it is done, and
// where the app runs it could write nothing.
func (a *nodeApp) withoutBuild(script string) string {
	match := buildFirst.FindStringSubmatch(script)
	if match == nil || match[1] != "build" || len(a.buildSteps()) == 0 {
		return script
	}
	return script[len(match[0]):]
}

var (
	leadingAssignments = regexp.MustCompile(`^(?:[A-Za-z_][A-Za-z0-9_]*=\S*\s+)+`)
	plainLast          = regexp.MustCompile(`^[^|;<>(){}&\n]*$`)
)

// execLast has a shell replace itself by the last command of a chain, so that
// this gets the signals.
func execLast(command []string) []string {
	if len(command) != 3 || command[0] != "/bin/sh" || strings.HasPrefix(command[2], "exec ") {
		return command
	}
	before, last := "", command[2]
	if at := strings.LastIndex(last, "&&"); at >= 0 {
		before, last = last[:at+2]+" ", strings.TrimSpace(last[at+2:])
	}
	if !plainLast.MatchString(last) || strings.HasPrefix(last, "cd ") || strings.HasPrefix(last, "exec ") {
		return command
	}
	if leadingAssignments.MatchString(last) {
		last = "env " + last
	}
	return []string{command[0], command[1], before + "exec " + last}
}

// called matches the scripts that a command line runs by a package manager.
var called = regexp.MustCompile(`\b(?:npm|yarn|pnpm|bun)(?: run| run-script)? ([\w:.-]+)`)

// reachable is a command line with the scripts that it runs, and those that they
// run.
func (a *nodeApp) reachable(line string) string {
	seen := map[string]bool{}
	for at := 0; at < len(line); {
		rest := line[at:]
		at = len(line)
		for _, match := range called.FindAllStringSubmatch(rest, -1) {
			if script := a.manifest.Scripts[match[1]]; script != "" && !seen[match[1]] {
				seen[match[1]] = true
				line += "\n" + script
			}
		}
	}
	return line
}

// useOthers notes the package managers beside the app's own that a command line
// runs, and reports whether there are any: a script of an app with npm may be run
// by Bun.
func (a *nodeApp) useOthers(line string) bool {
	found := false
	for _, kind := range []managerKind{yarnKind, pnpmKind, bunKind} {
		if kind.name == a.manager.name || !managerWord(kind.name).MatchString(line) {
			continue
		}
		found = true
		if !slices.ContainsFunc(a.others, func(other managerKind) bool { return other.name == kind.name }) {
			a.others = append(a.others, kind)
		}
	}
	return found
}

func managerWord(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)(^|[\s;&|("'])(` + name + `|` + name + `x)(\s|$)`)
}

// programs are the commands whose package has another name.
var programs = map[string]string{
	"tsc": "typescript", "nest": "@nestjs/cli", "ng": "@angular/cli", "remix-serve": "@remix-run/serve",
	"react-router-serve": "@react-router/serve", "vue-cli-service": "@vue/cli-service", "babel-node": "@babel/node",
	"swc-node": "@swc-node/register", "strapi": "@strapi/strapi", "dotenv": "dotenv-cli",
	"sequelize": "sequelize-cli", "medusa": "@medusajs/cli", "run-s": "npm-run-all", "run-p": "npm-run-all",
}

var wordOf = regexp.MustCompile(`[@\w./-]+`)

// devProgram returns why a command line needs a package that only the dev
// dependencies have, or "".
func (a *nodeApp) devProgram(line string) string {
	for _, word := range wordOf.FindAllString(line, -1) {
		for _, name := range []string{word, programs[word]} {
			for _, manifest := range []packageJSON{a.manifest, a.top} {
				if name != "" && manifest.DevDependencies[name] != "" && manifest.Dependencies[name] == "" {
					return "what starts uses " + word
				}
			}
		}
	}
	return ""
}
