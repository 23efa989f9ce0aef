package buildpipeline

import (
	"regexp"

	"github.com/skypanel/sky/models"
)

// symptom is a line that a tool prints when it fails for a reason that the app's
// owner can mend, and what to tell them. $1 in the texts stands for the
// pattern's first group.
type symptom struct {
	pattern *regexp.Regexp
	message string
	field   string
	remedy  string
}

// symptoms are asked in this order about each line of output.
var symptoms = []symptom{
	{
		regexp.MustCompile("`npm ci` can only install packages when your package.json and package-lock.json"),
		"package-lock.json does not match package.json", "package-lock.json", "run `npm install` and commit package-lock.json",
	},
	{
		regexp.MustCompile("Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`|YN0028"),
		"yarn.lock does not match package.json", "yarn.lock", "run `yarn install` and commit yarn.lock",
	},
	{
		regexp.MustCompile(`ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE_CONFIG_MISMATCH`),
		"pnpm-lock.yaml does not match package.json", "pnpm-lock.yaml", "run `pnpm install` and commit pnpm-lock.yaml",
	},
	{
		regexp.MustCompile(`lockfile had changes, but lockfile is frozen`),
		"bun.lock does not match package.json", "bun.lock", "run `bun install` and commit bun.lock",
	},
	{
		regexp.MustCompile(`No matching version found for ((?:pnpm|yarn|npm|bun|@yarnpkg/cli-dist)@\S+?)\.?$`),
		"npm's registry has no $1", "packageManager", "name a version that exists in packageManager, engines or volta of package.json: `npm view $1` shows them",
	},
	{
		regexp.MustCompile(`Failed to replace env in config: \$\{(\w+)\}`),
		".npmrc needs the variable $1, which is not set", ".npmrc", "sky env set --build $1=VALUE, then push again",
	},
	{
		regexp.MustCompile(`code E401|YN0041|ERR_PNPM_FETCH_401`),
		"a package registry refused the credentials", ".npmrc", "set the token that .npmrc names with `sky env set --build NAME=VALUE`, and check that it is valid",
	},
	{
		regexp.MustCompile(`The lockfile at .?uv.lock.? needs to be updated`),
		"uv.lock does not match pyproject.toml", "uv.lock", "run `uv lock` and commit uv.lock",
	},
	{
		regexp.MustCompile(`pyproject.toml changed significantly since poetry.lock was last generated|poetry.lock is not up to date with pyproject.toml`),
		"poetry.lock does not match pyproject.toml", "poetry.lock", "run `poetry lock` and commit poetry.lock",
	},
	{
		regexp.MustCompile(`Lock file hash doesn't match pyproject.toml|Lockfile doesn't satisfy the project requirements`),
		"pdm.lock does not match pyproject.toml", "pdm.lock", "run `pdm lock` and commit pdm.lock",
	},
	{
		regexp.MustCompile(`Your Pipfile.lock .*is out of date|Pipfile.lock is out.of.date`),
		"Pipfile.lock does not match Pipfile", "Pipfile.lock", "run `pipenv lock` and commit Pipfile.lock",
	},
	{
		regexp.MustCompile(`No matching distribution found for (\S+)`),
		"PyPI has no $1 for this version of Python", "requirements.txt", "check its name and version: `pip index versions` lists them",
	},
	{
		regexp.MustCompile(`STATIC_ROOT setting to a filesystem path`),
		"collectstatic needs STATIC_ROOT", "settings", "set STATIC_ROOT in the settings, such as BASE_DIR / \"staticfiles\", or `sky env set DISABLE_COLLECTSTATIC=1`",
	}, {
		regexp.MustCompile(`^sky: collectstatic failed`),
		"`python manage.py collectstatic` failed", "DISABLE_COLLECTSTATIC",
		"the lines above say why: settings must load without the variables that only what runs has; or `sky env set DISABLE_COLLECTSTATIC=1`",
	},
}

// diagnose explains a line of a failing step's output, or returns nil.
func diagnose(line string) *models.Error {
	for _, s := range symptoms {
		match := s.pattern.FindStringSubmatchIndex(line)
		if match == nil {
			continue
		}
		expand := func(text string) string { return string(s.pattern.ExpandString(nil, text, line, match)) }
		return models.Errorf(models.Failed, "%s", expand(s.message)).WithField(s.field).WithRemedy("%s", expand(s.remedy))
	}
	return nil
}
