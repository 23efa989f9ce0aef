package gitserver

import (
	"context"

	"github.com/skypanel/sky/models"
)

// Access is what an actor wants of an App's repository.
type Access string

// The kinds of access.
const (
	Read  Access = "read"  // clone and fetch
	Write Access = "write" // push
)

// Receiver is what the git doors ask of the platform. Its errors are
// models.Error; everything else is shown to the pusher as a fault of Sky's.
type Receiver interface {
	// ActorByKey returns the owner of the public key with this SHA256
	// fingerprint, as ssh-keygen prints it. Unknown keys are models.Unauthorized.
	ActorByKey(ctx context.Context, fingerprint string) (models.Actor, error)
	// ActorByToken returns the owner of an API token. Unknown, expired and
	// revoked tokens are models.Unauthorized.
	ActorByToken(ctx context.Context, token string) (models.Actor, error)
	// Authorize returns the named App when actor may have access to it. An App
	// that the actor may not see is models.NotFound, as one that does not exist.
	Authorize(ctx context.Context, actor models.Actor, app string, access Access) (models.App, error)
	// Receive decides every update whose Err is nil, moves the refs that it
	// accepts through Repositories.UpdateRefs and leaves its verdicts in Err.
	// It writes what the pusher reads to push.Out and blocks until all is
	// decided or ctx ends; work that it began goes on without the pusher.
	Receive(ctx context.Context, push *models.Push)
}
