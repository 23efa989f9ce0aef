package models

import "time"

// DeliveryState is where a WebhookDelivery is.
type DeliveryState string

// The states of a WebhookDelivery.
const (
	DeliveryReceived DeliveryState = "received" // nothing was decided yet
	DeliveryDone     DeliveryState = "done"     // something was done because of it
	DeliveryIgnored  DeliveryState = "ignored"  // there was nothing to do
	DeliveryFailed   DeliveryState = "failed"   // what was to do could not be done
	DeliveryRefused  DeliveryState = "refused"  // it did not prove where it came from
)

// Outcome is what became of a WebhookDelivery. Its Reason says why.
type Outcome string

// The outcomes.
const (
	OutcomeDeployed     Outcome = "deployed"      // it made a Build
	OutcomeDuplicate    Outcome = "duplicate"     // what it brings was deployed, or decided on, before
	OutcomeSuperseded   Outcome = "superseded"    // the branch has moved on
	OutcomeFiltered     Outcome = "filtered"      // no file changed that the path filters let through
	OutcomeSkipped      Outcome = "skipped"       // the commit's message asks for it
	OutcomeOtherBranch  Outcome = "other-branch"  // another branch, or a tag
	OutcomeDeleted      Outcome = "deleted"       // the branch is gone; what runs goes on
	OutcomeOff          Outcome = "off"           // automatic deployment is switched off
	OutcomeNoted        Outcome = "noted"         // such as a ping, or a repository's new name
	OutcomeUnknown      Outcome = "unknown"       // an event that means nothing to Sky
	OutcomePreview      Outcome = "preview"       // it made, changed or ended a preview
	OutcomeApproval     Outcome = "approval"      // a fork's commit waits for a member
	OutcomeQuota        Outcome = "quota"         // there is no room for another preview
	OutcomeFailed       Outcome = "failed"        // see Reason
	OutcomeWaiting      Outcome = "waiting"       // it is tried again
	OutcomeBadSignature Outcome = "bad-signature" // not signed with the webhook's secret
	OutcomeUnlinked     Outcome = "unlinked"      // no App is linked with the repository
)

// WebhookDelivery is one delivery of a git host, kept as it came.
type WebhookDelivery struct {
	ID    ID `gorm:"primaryKey"`
	AppID *ID
	// Scope is the App's id, or empty where no App is concerned: a delivery counts
	// once in each.
	Scope    string
	Provider string
	Delivery string // the host's own id
	Event    string
	Ref      string // that the event is about
	Commit   string
	Body     []byte
	State    DeliveryState
	Outcome  Outcome
	Reason   string
	// Repeats counts how often it came again.
	Repeats    int
	BuildID    *ID
	CreatedAt  time.Time
	FinishedAt *time.Time
}

// TableName implements gorm's Tabler.
func (WebhookDelivery) TableName() string { return "paas_webhook_deliveries" }

// The states of a Task.
const (
	TaskQueued  = "queued"
	TaskRunning = "running"
	TaskFailed  = "failed"
)

// Task is work that some control plane takes up under a lease. A Task that is
// done is removed; one that failed for good stays to be looked at.
type Task struct {
	ID             ID `gorm:"primaryKey"`
	Kind           string
	UniqueKey      *string // at most one unfinished Task has it
	OrganisationID *ID
	Payload        string // JSON
	State          string
	Attempt        int
	Worker         string
	LeaseUntil     *time.Time
	RunAt          time.Time
	// Again says that it was asked for once more while it ran.
	Again     bool
	Error     string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Task) TableName() string { return "paas_tasks" }
