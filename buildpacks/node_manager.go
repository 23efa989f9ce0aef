package buildpacks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// managerKind is a package manager for Node.js: what it reads, and the commands
// that its own documentation gives for installing in CI and in production.
type managerKind struct {
	name string
	// program is its package in npm's registry.
	program string
	// locks are its lock files, the preferred one first; files are what else
	// installing depends on, where it is there.
	locks, files []string
	environment  string
	cache        string
	install      string // without a lock file
	frozen       string // exactly what the lock file says, or fail
	prune        string // drop the dev dependencies of what is installed
}

var (
	npmKind = managerKind{
		name: "npm", program: "npm", cache: "npm",
		locks: []string{"package-lock.json", "npm-shrinkwrap.json"}, files: []string{".npmrc"},
		install: "npm install", frozen: "npm ci", prune: "npm prune --omit=dev --ignore-scripts",
	}
	yarnKind = managerKind{
		name: "yarn", program: "yarn", cache: "yarn", environment: "YARN_CACHE_FOLDER=/cache/yarn",
		locks: []string{"yarn.lock"}, files: []string{".npmrc", ".yarnrc"},
		install: "yarn install --non-interactive", frozen: "yarn install --frozen-lockfile --non-interactive",
		prune: "yarn install --frozen-lockfile --non-interactive --production --ignore-scripts --prefer-offline",
	}
	berryKind = managerKind{
		name: "yarn", program: "@yarnpkg/cli-dist", cache: "berry",
		environment: "YARN_GLOBAL_FOLDER=/cache/berry YARN_ENABLE_TELEMETRY=0",
		locks:       []string{"yarn.lock"}, files: []string{".npmrc", ".yarnrc.yml", ".yarn"},
		install: "yarn install --no-immutable", frozen: "yarn install --immutable",
		prune: "yarn workspaces focus --all --production",
	}
	pnpmKind = managerKind{
		name: "pnpm", program: "pnpm", cache: "pnpm",
		environment: "npm_config_store_dir=/cache/pnpm pnpm_config_store_dir=/cache/pnpm npm_config_manage_package_manager_versions=false",
		locks:       []string{"pnpm-lock.yaml"}, files: []string{".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", "patches"},
		install: "CI=true pnpm install --no-frozen-lockfile",
		frozen:  "CI=true pnpm install --frozen-lockfile",
		prune:   "CI=true pnpm prune --prod --ignore-scripts",
	}
	bunKind = managerKind{
		name: "bun", program: "bun", cache: "bun", environment: "BUN_INSTALL_CACHE_DIR=/cache/bun",
		locks: []string{"bun.lock", "bun.lockb"}, files: []string{".npmrc", "bunfig.toml", "patches"},
		install: "bun install", frozen: "bun install --frozen-lockfile",
		prune: "rm -rf node_modules && bun install --frozen-lockfile --production",
	}
)

// manager is the package manager of one app.
type manager struct {
	managerKind
	// version is a version or range; empty is the npm that comes with Node.js.
	version string
	lock    string // its lock file, or ""
	// pnp is set where Yarn resolves packages from .pnp.cjs, without node_modules.
	pnp bool
}

// chooseManager finds the package manager in the order in which people mean it:
// "packageManager" in package.json, then the lock files. It returns the reasons.
func chooseManager(src source, manifest packageJSON) (manager, []string, error) {
	kinds := []managerKind{pnpmKind, bunKind, yarnKind, npmKind}
	var found []string
	chosen := manager{managerKind: npmKind}
	for _, kind := range kinds {
		lock := src.first(kind.locks...)
		if lock != "" && len(found) == 0 {
			chosen = manager{managerKind: kind, lock: lock}
		}
		if lock != "" {
			found = append(found, lock)
		}
	}
	named, err := namedManager(src, manifest, kinds)
	if err != nil {
		return manager{}, nil, err
	}
	why := chosen.lock
	if named.name != "" {
		chosen, why = named, "packageManager"
	}
	if err := chosen.settle(src, manifest); err != nil {
		return manager{}, nil, err
	}
	return chosen, chosen.reasons(why, found), nil
}

// reasons say what was chosen where that is a choice at all.
func (m manager) reasons(why string, locks []string) []string {
	var reasons []string
	if m.version != "" {
		reasons = append(reasons, strings.TrimSpace(m.name+" "+m.version)+" from "+why)
	}
	for _, lock := range locks {
		if lock != m.lock {
			reasons = append(reasons, fmt.Sprintf("%s is ignored: %s says %s; remove one", lock, why, m.name))
		}
	}
	return reasons
}

// corepackName is the form of packageManager that Node.js's documentation of
// Corepack gives: name, version and an optional hash.
var corepackName = regexp.MustCompile(`^(npm|yarn|pnpm|bun)@v?([^+\s]+)(\+\S+)?$`)

// namedManager reads packageManager; a manifest without it gives none.
func namedManager(src source, manifest packageJSON, kinds []managerKind) (manager, error) {
	if manifest.PackageManager == "" {
		return manager{}, nil
	}
	match := corepackName.FindStringSubmatch(strings.TrimSpace(manifest.PackageManager))
	if match == nil {
		return manager{}, models.Errorf(models.Failed, "packageManager in package.json is %q, which names no package manager with a version", manifest.PackageManager).
			WithField("packageManager").WithRemedy("write npm, yarn, pnpm or bun with a version, such as \"pnpm@10.5.2\"")
	}
	for _, kind := range kinds {
		if kind.name == match[1] {
			return manager{managerKind: kind, version: match[2], lock: src.first(kind.locks...)}, nil
		}
	}
	return manager{}, nil
}

// settle tells the two Yarns apart and finds the version where packageManager
// has none: what "engines" or Volta ask for, else the one that writes such lock
// files.
func (m *manager) settle(src source, manifest packageJSON) error {
	settings := yarnSettings{}
	if m.name == "yarn" {
		text, _, err := src.read("yarn.lock")
		if err != nil {
			return err
		}
		if _, err := src.readYAML(".yarnrc.yml", &settings); err != nil {
			return err
		}
		m.tellYarns(text, settings, src.hasDir(".yarn/cache"))
	}
	if m.version != "" || m.name == "npm" {
		return nil
	}
	for _, wanted := range []string{manifest.Engines[m.name], manifest.Volta[m.name]} {
		if wanted != "" && m.suits(wanted) {
			m.version = wanted
			return nil
		}
	}
	text, _, err := src.read(m.lock)
	m.version = m.writerOf(text)
	return err
}

// yarnSettings is what we read of .yarnrc.yml, as yarnpkg.com describes it.
type yarnSettings struct {
	NodeLinker string `yaml:"nodeLinker"`
	Plugins    []any  `yaml:"plugins"`
}

// tellYarns makes a Yarn of version 2 or later what it is: those write their
// lock files as YAML.
func (m *manager) tellYarns(lock string, settings yarnSettings, ownCache bool) {
	classic := m.version == "1" || strings.HasPrefix(m.version, "1.")
	if classic || (m.version == "" && !strings.Contains(lock, "__metadata:")) {
		return
	}
	*m = manager{managerKind: berryKind, version: m.version, lock: m.lock}
	m.pnp = settings.NodeLinker == "" || settings.NodeLinker == "pnp"
	switch {
	case m.pnp: // what runs reads packages from the cache, which must be the app's
		m.environment += " YARN_ENABLE_GLOBAL_CACHE=0"
	case !ownCache:
		m.environment += " YARN_ENABLE_GLOBAL_CACHE=1"
	}
	release := m.version
	if release == "" {
		release = m.writerOf(lock)
	}
	if strings.HasPrefix(release, "2") || (strings.HasPrefix(release, "3") && len(settings.Plugins) == 0) {
		m.prune = "" // the command came with version 4, and as a plugin before
	}
}

// suits reports whether a range of "engines" can be asked of npm's registry for
// this manager: Yarn's later versions go by another package's name.
func (m *manager) suits(wanted string) bool {
	return m.program != berryKind.program || !strings.HasPrefix(strings.TrimLeft(wanted, "^~>=v "), "1")
}

var (
	pnpmLockVersion  = regexp.MustCompile(`(?m)^lockfileVersion: '?([0-9.]+)`)
	berryLockVersion = regexp.MustCompile(`(?m)^__metadata:\n\s+version: (\d+)`)
)

// writerOf is the release line that writes such lock files.
func (m *manager) writerOf(lock string) string {
	version := ""
	for _, pattern := range []*regexp.Regexp{pnpmLockVersion, berryLockVersion} {
		if match := pattern.FindStringSubmatch(lock); match != nil {
			version = match[1]
		}
	}
	switch {
	case m.program == "yarn" || m.name == "bun":
		return "1"
	case m.name == "yarn" && version == "4":
		return "2"
	case m.name == "yarn" && slices.Contains([]string{"5", "6"}, version):
		return "3"
	case m.name == "yarn":
		return "4"
	case strings.HasPrefix(version, "5."):
		return "7"
	case strings.HasPrefix(version, "6."):
		return "8"
	default: // 9.0; newer releases of pnpm read it and ask for a newer Node.js
		return "10"
	}
}

// fetched reports whether the package manager must be fetched: npm of any
// version comes with Node.js.
func (m manager) fetched() bool { return m.version != "" }

// release is the package, with its version, that npm's registry knows it by.
func (m manager) release() string { return m.program + "@" + m.version }

// fetchManagers installs package managers into a stage of their own. The stage
// names nothing of the app, so that all that use these versions share it.
func fetchManagers(file *dockerfile, image, stage string, releases []string) {
	file.tool(image, stage)
	file.line("ENV %s PATH=/manager/bin:%s", npmQuiet, systemPath)
	file.runTool(fmt.Sprintf("npm install --global --prefix /manager '%s' && rm -rf %s", strings.Join(releases, "' '"), npmCache))
}

// mount is the cache that installing fills.
func (m manager) mount() string { return cache(m.cache, "/cache/"+m.cache) }

// installAll installs what the lock file says, or what the ranges allow.
func (m manager) installAll() string {
	if m.lock == "" {
		return m.install
	}
	return m.frozen
}

// installProduction installs without dev dependencies; "" where the manager can
// only leave them out afterwards.
func (m manager) installProduction() string {
	switch {
	case m.name == "npm":
		return m.installAll() + " --omit=dev"
	case m.name == "pnpm":
		return m.installAll() + " --prod"
	case m.program == berryKind.program:
		return ""
	default:
		return m.installAll() + " --production"
	}
}

// script is the command that runs a script of package.json.
func (m manager) script(name string) string { return m.name + " run " + name }
