package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"
)

// BuildState is where a Build is; it only moves forward.
type BuildState string

// The states of a Build.
const (
	BuildQueued    BuildState = "queued"
	BuildRunning   BuildState = "running"
	BuildSucceeded BuildState = "succeeded"
	BuildFailed    BuildState = "failed"
	BuildCancelled BuildState = "cancelled"
)

// Ended reports whether the Build can change no more.
func (s BuildState) Ended() bool {
	return s == BuildSucceeded || s == BuildFailed || s == BuildCancelled
}

// CanBecome reports whether next is a legal successor of s.
func (s BuildState) CanBecome(next BuildState) bool {
	switch s {
	case BuildQueued:
		return next == BuildRunning || next == BuildFailed || next == BuildCancelled
	case BuildRunning:
		return next.Ended()
	default:
		return false
	}
}

// Build is one attempt to turn a commit into an image. It is numbered from 1
// within its App.
type Build struct {
	ID      ID `gorm:"primaryKey"`
	AppID   ID
	Number  int
	Ref     string
	Commit  string
	Subject string
	ActorID ID
	// Via is the proof that the pusher gave, such as "key SHA256:…". It is asked
	// for again before anything goes live.
	Via string
	// TokenID is the API token that the push was made with, if it was one.
	TokenID *ID
	State   BuildState
	// Runtime and Reason are what detection found: "Node.js 22" and why.
	Runtime string
	Reason  string
	// RuntimeType and RuntimeVersion name the Runtime row that it was built on.
	RuntimeType    string
	RuntimeVersion string
	// Dockerfile is what was built, kept so that a release can be explained.
	Dockerfile string
	// Image names the result by the digest of its configuration.
	Image string
	// Manifest is what a builder put into the registry; empty where the control
	// plane's own engine has it. Builder is that node's name.
	Manifest  string
	Builder   string
	Processes Processes `gorm:"serializer:json"`
	// Scripts are commands that run once: see Release.
	Scripts Processes `gorm:"serializer:json"`
	// HealthPath is what the repository says to probe.
	HealthPath string
	// Port is where the image says that it listens; 0 leaves the choice to us.
	Port int
	// SourceImage is a prebuilt image that is taken instead of building one.
	SourceImage string
	// Inputs are what it was made of, Fingerprint their hash, and Steps what was
	// done.
	Inputs      BuildInputs `gorm:"serializer:json"`
	Fingerprint string
	Steps       []BuildStep `gorm:"serializer:json"`
	// Updates are the refs that move when the Release of this Build serves.
	Updates    []RefUpdate `gorm:"serializer:json"`
	ClearCache bool
	// Hosted says that it is of what a ref at a git host leads to: Sky's own ref
	// follows wherever that is, and the host is told how it went. DeliveryID is the
	// delivery that asked for it, if one did.
	Hosted     bool
	DeliveryID *ID
	Error      string
	CreatedAt  time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
}

// TableName implements gorm's Tabler.
func (Build) TableName() string { return "paas_builds" }

// Move sets the Build's state; an illegal transition is a Conflict and changes
// nothing.
func (b *Build) Move(next BuildState, now time.Time) error {
	if !b.State.CanBecome(next) {
		return Errorf(Conflict, "build #%d is %s and cannot become %s", b.Number, b.State, next)
	}
	b.State = next
	if next == BuildRunning {
		b.StartedAt = &now
	}
	if next.Ended() {
		b.FinishedAt = &now
	}
	return nil
}

// Processes maps process types to the argument vector that starts them. An
// empty vector starts the image as its own Dockerfile says.
type Processes map[string][]string

// BuildInputs are hashes of all that decides what image a Build makes.
type BuildInputs struct {
	Files      string            `json:"files"`
	Dockerfile string            `json:"dockerfile"`
	Settings   string            `json:"settings"`  // target, arguments, what is ignored
	Variables  string            `json:"variables"` // those that steps may read
	Bases      map[string]string `json:"bases"`     // image ids by reference
}

// Fingerprint is the same for the same inputs, and for no others.
func (i BuildInputs) Fingerprint() string {
	hash := sha256.New()
	for _, part := range []string{i.Files, i.Dockerfile, i.Settings, i.Variables} {
		fmt.Fprintf(hash, "%s\n", part)
	}
	for _, reference := range slices.Sorted(maps.Keys(i.Bases)) {
		fmt.Fprintf(hash, "%s %s\n", reference, i.Bases[reference])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// BuildStep is one step that a Build did, or took from its cache.
type BuildStep struct {
	Name   string `json:"name"`
	Cached bool   `json:"cached,omitempty"`
	Millis int64  `json:"millis,omitempty"`
}
