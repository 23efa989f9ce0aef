package models

import (
	"strconv"
	"time"
)

// Release is an immutable combination of image, Config and process types,
// numbered from 1 within its App. Rollback makes a new one.
type Release struct {
	ID      ID `gorm:"primaryKey"`
	AppID   ID
	Number  int
	BuildID *ID
	Commit  string
	Image   string
	// Manifest is the digest by which nodes pull the image; empty while no node had
	// to.
	Manifest  string
	Processes Processes `gorm:"serializer:json"`
	// Scripts are commands of the image that run once, by when they do:
	// ReleaseProcess, PostdeployProcess, SetupProcess.
	Scripts Processes `gorm:"serializer:json"`
	Port    int
	// HealthPath is what the repository says to probe; the App's own goes before it.
	HealthPath  string
	Config      []byte // the sealed environment, as package platform encrypts it
	Description string
	ActorID     ID
	CreatedAt   time.Time
}

// TableName implements gorm's Tabler.
func (Release) TableName() string { return "paas_releases" }

// Name returns the Release's name as people say it: "v7".
func (r Release) Name() string { return "v" + strconv.Itoa(r.Number) }

// ParseReleaseName reads "v7" or "7".
func ParseReleaseName(name string) (int, error) {
	digits := name
	if len(digits) > 1 && digits[0] == 'v' {
		digits = digits[1:]
	}
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 {
		return 0, Errorf(Invalid, "%q is not a release", name).WithField("release").
			WithRemedy("name it as `sky releases` lists it, such as v3")
	}
	return number, nil
}

// DeploymentState is where a Deployment is; it only moves forward.
type DeploymentState string

// The states of a Deployment.
const (
	DeploymentPending    DeploymentState = "pending"
	DeploymentReleasing  DeploymentState = "releasing"
	DeploymentRolling    DeploymentState = "rolling"
	DeploymentLive       DeploymentState = "live"
	DeploymentFailed     DeploymentState = "failed"
	DeploymentSuperseded DeploymentState = "superseded"
)

// Ended reports whether the Deployment can change no more.
func (s DeploymentState) Ended() bool {
	return s == DeploymentLive || s == DeploymentFailed || s == DeploymentSuperseded
}

// CanBecome reports whether next is a legal successor of s.
func (s DeploymentState) CanBecome(next DeploymentState) bool {
	switch s {
	case DeploymentPending:
		return next == DeploymentReleasing || next == DeploymentRolling || next == DeploymentFailed || next == DeploymentSuperseded
	case DeploymentReleasing:
		return next == DeploymentRolling || next == DeploymentFailed
	case DeploymentRolling:
		return next == DeploymentLive || next == DeploymentFailed
	default:
		return false
	}
}

// Deployment moves an App from one Release to another and owns the status of
// that move.
type Deployment struct {
	ID         ID `gorm:"primaryKey"`
	AppID      ID
	ReleaseID  ID
	PreviousID *ID // the Release that was live before
	State      DeploymentState
	// Released says that the Release's command before the rollout has run, or is
	// not to run.
	Released bool
	Error    string
	// Probes and ProbesFailed are the cutover proof.
	Probes       int
	ProbesFailed int
	CreatedAt    time.Time
	FinishedAt   *time.Time
}

// TableName implements gorm's Tabler.
func (Deployment) TableName() string { return "paas_deployments" }

// Move sets the Deployment's state; an illegal transition is a Conflict and
// changes nothing.
func (d *Deployment) Move(next DeploymentState, now time.Time) error {
	if !d.State.CanBecome(next) {
		return Errorf(Conflict, "the deployment is %s and cannot become %s", d.State, next)
	}
	d.State = next
	if next.Ended() {
		d.FinishedAt = &now
	}
	return nil
}
