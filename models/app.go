package models

import (
	"regexp"
	"strings"
	"time"
)

// App is a named unit that a team owns: a repository, a Config, a Formation
// and the Release that is live.
type App struct {
	ID             ID `gorm:"primaryKey"`
	Name           string
	OrganisationID ID
	CreatorID      ID
	PlanID         *ID // nil until plans are seeded
	// Region is where its Instances run; empty leaves it to the scheduler.
	Region       string
	DeployBranch string
	// HealthPath is probed with GET before a new web instance gets traffic.
	// Empty: any HTTP answer on the port will do.
	HealthPath string
	Formation  Formation `gorm:"serializer:json"`
	// Buildpack forces detection; empty lets the repository decide.
	Buildpack string
	// RootDir is the directory of the repository that holds the App; empty is all
	// of it.
	RootDir string
	// BuildCommand and StartCommand stand in for what the buildpack would choose.
	BuildCommand string
	StartCommand string
	// Dockerfile is the path of one that is not at its usual place, and
	// DockerTarget the stage of it to build.
	Dockerfile   string
	DockerTarget string
	// BuildVariables name the variables of the Config that builds may read, as
	// secrets; BuildArguments those that become arguments of a Dockerfile's build
	// and stay in its history.
	BuildVariables []string `gorm:"serializer:json"`
	BuildArguments []string `gorm:"serializer:json"`
	// WritableRoot lifts the read-only root file system of Instances.
	WritableRoot bool
	// RootUser lets images that start as root do so, with few capabilities.
	RootUser bool
	// Stopped apps keep their Release but run no Instance.
	Stopped bool
	// Suspended Apps ran when their Organisation was suspended, and start again
	// when it no longer is.
	Suspended bool
	// LiveReleaseID is the Release that the routes lead to.
	LiveReleaseID *ID
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// TableName implements gorm's Tabler.
func (App) TableName() string { return "paas_applications" }

// Formation counts Instances per process type.
type Formation map[string]int

// The limits of a Formation.
const (
	MaxInstancesPerProcess = 100
	WebProcess             = "web"
)

// The commands that run once, by when they do.
const (
	// ReleaseProcess runs before a Release serves; when it fails, it never does.
	ReleaseProcess = "release"
	// PostdeployProcess runs after each Deployment of a Build.
	PostdeployProcess = "postdeploy"
	// SetupProcess runs after the very first Deployment of an App.
	SetupProcess = "setup"
)

var (
	appNamePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	processPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	envKeyPattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	branchPattern  = regexp.MustCompile(`^[A-Za-z0-9._#+@][A-Za-z0-9._/#+@-]{0,199}$`)
)

// CheckAppName says why name cannot be an App's name, or returns nil.
func CheckAppName(name string) error {
	if appNamePattern.MatchString(name) && !strings.Contains(name, "--") {
		return nil
	}
	return Errorf(Invalid, "app name %q is not allowed", name).WithField("name").
		WithRemedy("use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter")
}

// CheckProcess says why name cannot be a process type, or returns nil.
func CheckProcess(name string) error {
	if processPattern.MatchString(name) {
		return nil
	}
	return Errorf(Invalid, "process type %q is not allowed", name).WithField("process").
		WithRemedy("use letters, digits, dashes and underscores, beginning with a letter")
}

// CheckEnvKey says why key cannot name an environment variable, or returns nil.
func CheckEnvKey(key string) error {
	if envKeyPattern.MatchString(key) {
		return nil
	}
	return Errorf(Invalid, "environment variable %.100q is not allowed", key).WithField("key").
		WithRemedy("use letters, digits and underscores, not beginning with a digit")
}

// CheckBranch says why name cannot be a deploy branch, or returns nil.
func CheckBranch(name string) error {
	if branchPattern.MatchString(name) && !strings.Contains(name, "..") && !strings.HasSuffix(name, ".lock") {
		return nil
	}
	return Errorf(Invalid, "branch %q is not allowed", name).WithField("deploy_branch").
		WithRemedy("use a branch name as git allows it, without spaces")
}
