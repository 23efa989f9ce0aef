package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// engine runs containers: plain Docker, or Docker Swarm. Every call blocks until it
// is done or ctx ends. Calls about a container that is gone return errGone,
// except Stop and Remove, for which that is success. errAway says that the
// engine did not answer, errRefused that asking again is of no use.
type engine interface {
	// Check says why the engine, as it is set up here, may run nothing, and what
	// would mend it; errAway when it cannot be asked.
	Check(ctx context.Context) error
	// Version doubles as the question whether the engine answers.
	Version(ctx context.Context) (string, error)
	// Apps returns the IDs of all Apps that have a container or a network here.
	Apps(ctx context.Context) ([]string, error)
	// List returns an App's containers on this Node.
	List(ctx context.Context, appID string) ([]container, error)
	// Pull makes the Instance's image be there, and returns at once when it is.
	Pull(ctx context.Context, instance protocol.Instance) error
	// Create makes an Instance's container, and its App's network first.
	Create(ctx context.Context, instance protocol.Instance) (id string, err error)
	Start(ctx context.Context, id string) error
	// Inspect reads one container anew.
	Inspect(ctx context.Context, id string) (container, error)
	// Promote marks a container durably as one that was healthy. From then on
	// the engine restarts it, also after a reboot.
	Promote(ctx context.Context, id string) error
	// Stop ends the mark and the container: SIGTERM, then SIGKILL after the
	// StopGrace that it was created with.
	Stop(ctx context.Context, id string) error
	Remove(ctx context.Context, id string) error
	// RemoveNetwork removes an App's network; one that is not there is fine.
	RemoveNetwork(ctx context.Context, appID string) error
	// Log calls line for each line from a time on; with follow, until the
	// container stops. An error of line ends it.
	Log(ctx context.Context, id string, query logQuery, line func(protocol.LogLine) error) error
	// Exec runs a command in a running container, as its process is run: as the same
	// user, with the same environment and limits.
	Exec(ctx context.Context, c container, command protocol.Command) (process, error)
	// Attach starts a container that was created for a terminal.
	Attach(ctx context.Context, c container, command protocol.Command) (process, error)
	// EndStrays ends what Exec once ran in a container.
	EndStrays(ctx context.Context, c container) error
	// Usage reads what a running container has used since its start.
	Usage(ctx context.Context, id string) (consumption, error)
	// Watch calls ready once it is subscribed, then event for each event of
	// this Node's containers, and returns when the subscription is lost.
	Watch(ctx context.Context, ready func(), event func(event)) error
}

var (
	errGone    = errors.New("the container is gone")
	errAway    = errors.New("the container engine does not answer")
	errRefused = errors.New("the container engine refused")
	// errNoImage is an errRefused.
	errNoImage = fmt.Errorf("%w: the image is not there, and in no registry", errRefused)
)

// logQuery says what part of a log is wanted.
type logQuery struct {
	Since  time.Time
	Follow bool
	Tail   int // only so many last lines; 0 means all
}

// runState is what a container does.
type runState string

const (
	runCreated    runState = "created"
	runRunning    runState = "running"
	runRestarting runState = "restarting"
	runExited     runState = "exited"
)

// container is one container of ours as the engine tells it.
type container struct {
	ID        string
	Instance  string
	AppID     string
	App       string
	Process   string
	Ordinal   int
	Port      int
	ImageID   string
	State     runState
	Promoted  bool
	Address   string // IP address on its App's network; "" while it has none
	PID       int
	ExitCode  int
	OOM       bool
	Memory    int64 // limit in bytes
	Restarts  int
	Attended  bool // it was created for a terminal
	CreatedAt time.Time
	StartedAt time.Time
	// Health is the verdict of the image's own health check: "", "starting",
	// "healthy" or "unhealthy". HealthOutput is what it last printed.
	Health       string
	HealthOutput string
}

// consumption is what a container has used since its start.
type consumption struct {
	CPU      time.Duration
	Memory   int64 // bytes in use now, without the page cache that can be dropped
	Received int64 // bytes
	Sent     int64
}

// eventKind is what happened to a container.
type eventKind string

const (
	eventDied    eventKind = "die"
	eventStarted eventKind = "start"
	eventOOM     eventKind = "oom"
	eventHealth  eventKind = "health_status"
)

// event is something that happened to a container of ours.
type event struct {
	Kind      eventKind
	Container string
	Instance  string
	AppID     string
	ExitCode  int // of eventDied
}
