package protocol

import "time"

// Version is the protocol version that this build speaks; Hello carries it. The
// control plane goes on with agents of the versions before: those of 1 have no
// terminals, those of 2 do not build.
const Version = 3

// Assignment is everything that a Node is to run and route, at one generation.
// An agent ignores a generation below the one it has.
type Assignment struct {
	Generation uint64     `json:"generation"`
	Instances  []Instance `json:"instances"`
	Routes     []Route    `json:"routes"`
	// Peers are the other Nodes that Routes lead to.
	Peers []Peer `json:"peers,omitempty"`
}

// Instance is one process to run. Its ID is never used again for another:
// a restart is a new Instance. An Instance is immutable; only its presence in
// the Assignment changes.
type Instance struct {
	ID        string `json:"id"`
	AppID     string `json:"app_id"`
	App       string `json:"app"`
	ReleaseID string `json:"release_id"`
	Release   int    `json:"release"`
	Process   string `json:"process"`
	Ordinal   int    `json:"ordinal"`
	// Source is where the image is pulled from, as repository@digest in the control
	// plane's registry; empty where it is in none. Image names it once it is there.
	Source  string            `json:"source,omitempty"`
	Image   string            `json:"image"`   // reference by digest, or a local image id
	Command []string          `json:"command"` // replaces entrypoint and command; empty keeps the image's
	Env     map[string]string `json:"env"`
	Port    int               `json:"port"` // where it must listen; 0 when it does not
	Health  Health            `json:"health"`
	Limits  Limits            `json:"limits"`
	// StopGrace is the time between SIGTERM and SIGKILL.
	StopGrace time.Duration `json:"stop_grace"`
	// DrainLimit bounds the wait for requests in flight before SIGTERM.
	DrainLimit time.Duration `json:"drain_limit"`
	// Once runs the process to its end, one time: it is not probed, and never
	// started again. It ends stopped when it exits with 0, else failed.
	Once bool `json:"once,omitempty"`
	// OneOff is Once of somebody's own command, rather than of the Release's.
	OneOff bool `json:"one_off,omitempty"`
	// Attended is a OneOff with a terminal: it waits for its StreamAttach, for a
	// minute at most, and ends with it. Its output is in no log.
	Attended bool `json:"attended,omitempty"`
	// TTY gives an Attended one a terminal's device.
	TTY bool `json:"tty,omitempty"`
	// WritableRoot lifts the read-only root file system.
	WritableRoot bool `json:"writable_root"`
	// RootUser keeps the image's own user and adds the few capabilities that
	// images which start as root need.
	RootUser bool `json:"root_user"`
}

// Health says when a new Instance may get traffic.
type Health struct {
	// Path is fetched with GET and must answer below 400. Empty: with a Port,
	// any HTTP answer; without one, staying up for Settle.
	Path string `json:"path"`
	// Deadline bounds the time from start to healthy.
	Deadline time.Duration `json:"deadline"`
	Settle   time.Duration `json:"settle"`
}

// Limits bounds an Instance's resources; zero means none.
type Limits struct {
	MemoryBytes int64 `json:"memory_bytes"`
	NanoCPUs    int64 `json:"nano_cpus"`
	Pids        int64 `json:"pids"`
}

// Route leads hosts to Instances. Only targets that are healthy get requests;
// a target that leaves the Route is drained before its Instance is stopped.
type Route struct {
	AppID   string   `json:"app_id"`
	App     string   `json:"app"`
	Hosts   []string `json:"hosts"`
	Targets []string `json:"targets"` // Instance IDs
	// Remotes are the App's Instances on other Nodes.
	Remotes []Remote `json:"remotes,omitempty"`
	// Stopped routes answer that the app is stopped, instead of waiting for a
	// target.
	Stopped bool `json:"stopped"`
}

// Remote is an Instance on another Node.
type Remote struct {
	Instance string `json:"instance"`
	Node     string `json:"node"`
}

// Peer is another Node, and where its agent takes requests for its Instances.
type Peer struct {
	Node    string `json:"node"`
	Address string `json:"address"`
}

// Message is one frame on the control stream; exactly one field is set.
type Message struct {
	Hello      *Hello      `json:"hello,omitempty"`      // agent, first
	Welcome    *Welcome    `json:"welcome,omitempty"`    // control plane, in answer
	Assignment *Assignment `json:"assignment,omitempty"` // control plane
	Observed   *Observed   `json:"observed,omitempty"`   // agent
	Heartbeat  *Heartbeat  `json:"heartbeat,omitempty"`  // agent
}

// Hello introduces an agent.
type Hello struct {
	Version       int    `json:"version"`
	AgentVersion  string `json:"agent_version"`
	Hostname      string `json:"hostname"`
	EngineVersion string `json:"engine_version"`
	CPUs          int    `json:"cpus"`
	MemoryBytes   int64  `json:"memory_bytes"`
	// Peer is where this agent takes requests of other Nodes, as host and port; an
	// empty host is the one that the link comes from. Empty where it takes none.
	Peer string `json:"peer,omitempty"`
	// Ingress is where this agent takes requests from outside, in the same way.
	Ingress string `json:"ingress,omitempty"`
	// Builds is how many builds the agent runs at once; 0 is no builder.
	Builds int `json:"builds,omitempty"`
	// Generation is the newest Assignment that the agent has on disk.
	Generation uint64 `json:"generation"`
}

// Welcome accepts an agent, or says in Refused why not.
type Welcome struct {
	Version int    `json:"version"`
	Refused string `json:"refused,omitempty"`
}

// Observed is what the agent sees on its Node, whole, after every change.
type Observed struct {
	// Generation is the Assignment whose routes are in force. Instances that
	// left it may still be draining: they are listed until they are gone.
	Generation uint64           `json:"generation"`
	Instances  []InstanceStatus `json:"instances"`
	// Trouble is what keeps the agent from its work, such as an engine that
	// does not answer; empty when all is well.
	Trouble string `json:"trouble,omitempty"`
	// At is when this was sent, by the agent's clock; agents before it leave it out.
	At time.Time `json:"at,omitzero"`
}

// InstanceStatus is one observed Instance. State is one of the InstanceState
// values of package models.
type InstanceStatus struct {
	ID        string    `json:"id"`
	AppID     string    `json:"app_id"`
	State     string    `json:"state"`
	Container string    `json:"container,omitempty"`
	ImageID   string    `json:"image_id,omitempty"` // digest that really runs
	Since     time.Time `json:"since"`
	Restarts  int       `json:"restarts"`
	// Reason says in a sentence why State is failed, or why it is not healthy
	// yet; Tail holds the last lines of the log when it failed.
	Reason   string   `json:"reason,omitempty"`
	ExitCode *int     `json:"exit_code,omitempty"`
	OOM      bool     `json:"oom,omitempty"`
	Tail     []string `json:"tail,omitempty"`
	// Cut counts requests that the drain limit ended.
	Cut int `json:"cut,omitempty"`
}

// Heartbeat says that the agent lives, and how its Node does.
type Heartbeat struct {
	At         time.Time `json:"at"`
	CPUPercent float64   `json:"cpu_percent"`
	MemoryUsed int64     `json:"memory_used"`
	DiskUsed   int64     `json:"disk_used"`
	DiskTotal  int64     `json:"disk_total"`
	Containers int       `json:"containers"`
	// Loads are of the Instances that run; an agent may leave some out, or all of
	// them in some beats.
	Loads []Load `json:"loads,omitempty"`
	// Traffic is of the Apps of whose requests something changed since the last
	// beat of the same link; the first beat of a link tells of all.
	Traffic []Traffic `json:"traffic,omitempty"`
}

// Load is what one Instance uses.
type Load struct {
	Instance    string  `json:"instance"`
	CPUPercent  float64 `json:"cpu_percent"` // of one CPU, the mean since it was measured before
	MemoryBytes int64   `json:"memory_bytes"`
	// ReceivedBytes and SentBytes are since the container's start.
	ReceivedBytes int64 `json:"received_bytes"`
	SentBytes     int64 `json:"sent_bytes"`
}

// StreamHeader begins every stream but the control stream, as one frame.
type StreamHeader struct {
	Kind     string `json:"kind"` // StreamLog, StreamExec, StreamAttach or StreamBuild
	Instance string `json:"instance,omitempty"`
	AppID    string `json:"app_id,omitempty"`
	Process  string `json:"process,omitempty"`
	Ordinal  int    `json:"ordinal,omitempty"`
	// Command is what StreamExec runs, and the window of StreamAttach.
	Command *Command `json:"command,omitempty"`
}

// StreamLog is the kind of a stream on which the agent sends an Instance's
// log. The control plane answers the header with a LogResume frame; LogLine
// frames follow. After the agent closed its end, another LogResume says up to
// where the log is kept.
const StreamLog = "log"

// LogResume tells the agent the time of the last line that the control plane
// holds durably; zero when it has none. The agent sends what is newer.
type LogResume struct {
	After time.Time `json:"after"`
}

// LogLine is one line that an Instance wrote. Time comes from the engine, in
// nanoseconds, and grows strictly within an Instance.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stderr bool      `json:"stderr,omitempty"`
	Text   string    `json:"text"`
}
