package v1

import "time"

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items" doc:"The rows of this page"`
	Next  string `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
}

// Identity is who a token belongs to.
type Identity struct {
	Name  string `json:"name" example:"admin"`
	Admin bool   `json:"admin" doc:"Whether they manage the platform"`
	Via   string `json:"via" doc:"What proved it" example:"token laptop"`
}

// Key is an SSH public key that may push.
type Key struct {
	Name        string    `json:"name" example:"me@laptop"`
	Fingerprint string    `json:"fingerprint" example:"SHA256:sYvPIsZxY0gQ9mh9cVvLnlXsBwcKWYJz7dEFnG0f0Xw"`
	PublicKey   string    `json:"public_key" doc:"As it was given"`
	CreatedAt   time.Time `json:"created_at" doc:"When it was made"`
}

// NewKey is a key to add.
type NewKey struct {
	Name      string `json:"name,omitempty" maxLength:"100" doc:"Defaults to the key's comment"`
	PublicKey string `json:"public_key" minLength:"1" maxLength:"16384" doc:"One line, as in ~/.ssh/id_ed25519.pub"`
}

// App is an application.
type App struct {
	ID           string         `json:"id" doc:"Its id, which never changes"`
	Name         string         `json:"name" example:"shop"`
	Organisation string         `json:"organisation" example:"acme"`
	Plan         string         `json:"plan" example:"basic"`
	Region       string         `json:"region" doc:"Where its instances run; empty is anywhere"`
	State        string         `json:"state" enum:"pending,building,running,degraded,stopped,failed,suspended" doc:"What its instances do, taken together"`
	URL          string         `json:"url" doc:"Where its web instances answer"`
	GitURL       string         `json:"git_url" doc:"Where to push"`
	DeployBranch string         `json:"deploy_branch" example:"main"`
	Release      string         `json:"release,omitempty" doc:"The live release" example:"v7"`
	Commit       string         `json:"commit,omitempty" doc:"What the live release was built from"`
	Formation    map[string]int `json:"formation" doc:"How many instances of each process type"`
	HealthPath   string         `json:"health_path" doc:"Probed before a web instance gets traffic; empty probes the port"`
	WritableRoot bool           `json:"writable_root" doc:"Whether instances may write to their root file system"`
	RootUser     bool           `json:"root_user" doc:"Whether images that start as root may do so"`
	BuildSettings
	CreatedAt time.Time `json:"created_at" doc:"When it was made"`
}

// BuildSettings are how an application is built.
type BuildSettings struct {
	Buildpack      string   `json:"buildpack" doc:"The one that is forced; empty detects one"`
	RootDir        string   `json:"root_dir" doc:"The directory of the repository that holds the app; empty is all of it" example:"apps/web"`
	BuildCommand   string   `json:"build_command" doc:"Runs in place of the build that the buildpack would choose"`
	StartCommand   string   `json:"start_command" doc:"Starts web where no Procfile does"`
	Dockerfile     string   `json:"dockerfile" doc:"The path of a Dockerfile that is not at its usual place"`
	DockerTarget   string   `json:"docker_target" doc:"The stage of the Dockerfile to build; empty is the last"`
	BuildVariables []string `json:"build_variables" doc:"Names of the variables that builds may read, as secrets"`
	BuildArguments []string `json:"build_arguments" doc:"Names of the variables that become arguments of a Dockerfile's build, and stay in its history"`
}

// NewApp is an application to create.
type NewApp struct {
	Name         string `json:"name" maxLength:"100" doc:"1 to 40 lower-case letters, digits and dashes, beginning with a letter" example:"shop"`
	Organisation string `json:"organisation,omitempty" maxLength:"40" doc:"Who it belongs to; by default your own organisation"`
	Plan         string `json:"plan,omitempty" maxLength:"40" doc:"By default the platform's default plan"`
	Region       string `json:"region,omitempty" maxLength:"40" doc:"Where its instances run; by default anywhere"`
}

// AppChange holds the settings to change; what is left out stays. Settings of
// instances apply to those that start from then on.
type AppChange struct {
	DeployBranch *string `json:"deploy_branch,omitempty" maxLength:"250" doc:"The branch that deploys"`
	HealthPath   *string `json:"health_path,omitempty" maxLength:"1000" doc:"Probed before a web instance gets traffic; empty probes the port"`
	WritableRoot *bool   `json:"writable_root,omitempty" doc:"Lets instances write to their root file system"`
	RootUser     *bool   `json:"root_user,omitempty" doc:"Lets images that start as root do so"`
	BuildSettingsChange
}

// BuildSettingsChange holds the settings of builds to change; what is left out
// stays. They apply to the next build.
type BuildSettingsChange struct {
	Buildpack      *string   `json:"buildpack,omitempty" maxLength:"40" doc:"Forces a buildpack; empty detects one"`
	RootDir        *string   `json:"root_dir,omitempty" maxLength:"1000" doc:"The directory of the repository that holds the app; empty is all of it" example:"apps/web"`
	BuildCommand   *string   `json:"build_command,omitempty" maxLength:"2000" doc:"Runs in place of the build that the buildpack would choose"`
	StartCommand   *string   `json:"start_command,omitempty" maxLength:"2000" doc:"Starts web where no Procfile does"`
	Dockerfile     *string   `json:"dockerfile,omitempty" maxLength:"1000" doc:"The path of a Dockerfile that is not at its usual place"`
	DockerTarget   *string   `json:"docker_target,omitempty" maxLength:"128" doc:"The stage of the Dockerfile to build; empty is the last"`
	BuildVariables *[]string `json:"build_variables,omitempty" maxItems:"100" doc:"Names of the variables that builds may read, as secrets"`
	BuildArguments *[]string `json:"build_arguments,omitempty" maxItems:"100" doc:"Names of the variables that become arguments of a Dockerfile's build, and stay in its history"`
}

// Deploy names what to build.
type Deploy struct {
	Ref   string `json:"ref,omitempty" maxLength:"200" doc:"A branch, a tag or a whole commit name that was pushed; by default the deploy branch"`
	Image string `json:"image,omitempty" maxLength:"255" doc:"A prebuilt image to take in place of a build" example:"registry.example.com/team/app:1.2"`
}

// BuildExplanation says why a build did what it did.
type BuildExplanation struct {
	Build   Build       `json:"build"`
	Former  int         `json:"former,omitempty" doc:"The number of the succeeded build that it is compared with"`
	Reasons []string    `json:"reasons" doc:"What had changed since then"`
	Steps   []BuildStep `json:"steps" doc:"What it did; none when a former build's image was taken"`
}

// BuildStep is one step of a build.
type BuildStep struct {
	Name   string `json:"name" doc:"As the Dockerfile has it"`
	Cached bool   `json:"cached" doc:"Whether its former result was taken"`
	Millis int64  `json:"millis" doc:"How long it took"`
}

// Build is one attempt to turn a commit into an image.
type Build struct {
	Number     int        `json:"number" doc:"Counts the app's builds from 1"`
	State      string     `json:"state" enum:"queued,running,succeeded,failed,cancelled" doc:"How far it is"`
	Commit     string     `json:"commit" doc:"What is built"`
	Subject    string     `json:"subject" doc:"The first line of the commit's message"`
	Runtime    string     `json:"runtime,omitempty" example:"Node.js 22"`
	Image      string     `json:"image,omitempty" doc:"What came of it"`
	Builder    string     `json:"builder,omitempty" doc:"The node that built it; none is the control plane's machine"`
	Dockerfile string     `json:"dockerfile,omitempty" doc:"What was built; only for a single build"`
	Error      string     `json:"error,omitempty" doc:"Why it failed"`
	CreatedAt  time.Time  `json:"created_at" doc:"When it was made"`
	StartedAt  *time.Time `json:"started_at,omitempty" doc:"When it left the queue"`
	FinishedAt *time.Time `json:"finished_at,omitempty" doc:"When it succeeded, failed or was cancelled"`
}

// Release is an immutable combination of image, config and process types.
type Release struct {
	Name        string              `json:"name" example:"v7"`
	Number      int                 `json:"number" doc:"Counts the app's releases from 1"`
	State       string              `json:"state" enum:"pending,releasing,rolling,live,failed,superseded" doc:"What became of its newest deployment"`
	Live        bool                `json:"live" doc:"Whether the routes lead to it now"`
	Description string              `json:"description" doc:"Why there is one"`
	Commit      string              `json:"commit" doc:"What it was built from"`
	Image       string              `json:"image" doc:"What its instances run"`
	Processes   map[string][]string `json:"processes" doc:"The command of each process type"`
	Error       string              `json:"error,omitempty" doc:"Why its deployment failed"`
	CreatedAt   time.Time           `json:"created_at" doc:"When it was made"`
}

// Instance is one running process, as its node's agent observes it.
type Instance struct {
	ID       string    `json:"id" doc:"Its id, which never changes"`
	Process  string    `json:"process" example:"web"`
	Ordinal  int       `json:"ordinal" example:"1"`
	Release  int       `json:"release" doc:"The number of its release"`
	State    string    `json:"state" enum:"assigned,pulling,starting,healthy,draining,stopped,failed" doc:"What its node's agent observes"`
	Since    time.Time `json:"since" doc:"When it came into this state"`
	Restarts int       `json:"restarts" doc:"How often it ended by itself and was started again"`
	Reason   string    `json:"reason,omitempty" doc:"Why it is in this state"`
	Node     string    `json:"node" doc:"The node that runs it"`
}

// TerminalRequest is the first message of a terminal: what to run, and where.
type TerminalRequest struct {
	Command  []string `json:"command" doc:"The program and its arguments; no shell reads them" example:"[\"ls\", \"-l\"]"`
	Process  string   `json:"process,omitempty" doc:"Of exec: any instance of this process type" example:"web"`
	Instance string   `json:"instance,omitempty" doc:"Of exec: the instance, by its id or name" example:"web.1"`
	TTY      bool     `json:"tty,omitempty" doc:"Give it a terminal's device, rather than three streams"`
	Rows     uint     `json:"rows,omitempty" doc:"The window's height in lines"`
	Columns  uint     `json:"cols,omitempty" doc:"Its width in characters"`
}

// NewRun is a command to run by itself.
type NewRun struct {
	Command []string `json:"command" minItems:"1" maxItems:"1000" doc:"The program and its arguments; no shell reads them"`
}

// EnvChange sets and unsets environment variables in one release.
type EnvChange struct {
	Set   map[string]string `json:"set,omitempty" maxProperties:"2000" doc:"Values by name: letters, digits and underscores"`
	Unset []string          `json:"unset,omitempty" maxItems:"2000" doc:"Names to remove"`
}

// Scale sets instance counts per process type.
type Scale struct {
	Formation map[string]int `json:"formation" maxProperties:"100" minProperties:"1" doc:"How many instances of each process type; those left out stay"`
}

// Rollback names the release to go back to.
type Rollback struct {
	Release string `json:"release,omitempty" maxLength:"20" doc:"Empty goes back to the one before" example:"v3"`
}

// Promotion names the app that gets the release.
type Promotion struct {
	To      string `json:"to" maxLength:"100" example:"shop"`
	Release string `json:"release,omitempty" maxLength:"20" doc:"Empty promotes the live one" example:"v3"`
}

// Outcome tells what an operation did, as a person would read it.
type Outcome struct {
	Release string   `json:"release,omitempty" doc:"The release that it made" example:"v8"`
	Log     []string `json:"log" doc:"What was done, line by line"`
}

// InstanceMetrics is what one instance uses, as its agent said at the last
// heartbeat that told it, every 30 seconds.
type InstanceMetrics struct {
	Process          string     `json:"process" example:"web"`
	Ordinal          int        `json:"ordinal" example:"1"`
	At               *time.Time `json:"at,omitempty" doc:"Absent while nothing was said yet"`
	CPUPercent       float64    `json:"cpu_percent" doc:"Of one CPU, the mean since the heartbeat before"`
	MemoryBytes      int64      `json:"memory_bytes" doc:"In use now"`
	MemoryLimitBytes int64      `json:"memory_limit_bytes" doc:"What its plan gives it"`
	ReceivedBytes    int64      `json:"received_bytes" doc:"Since its start"`
	SentBytes        int64      `json:"sent_bytes" doc:"Since its start"`
}

// LogLine is one line of a log.
type LogLine struct {
	Offset int64     `json:"offset" doc:"Pass it as Last-Event-ID to continue behind this line"`
	Time   time.Time `json:"time" doc:"When it was written"`
	Kind   string    `json:"kind" enum:"say,detail,stdout,stderr,end" doc:"say is Sky's own words, detail a build's output"`
	Source string    `json:"source,omitempty" example:"web.1"`
	Text   string    `json:"text" doc:"Without its end of line"`
}

// Node is a machine that runs instances.
type Node struct {
	ID            string     `json:"id" doc:"Its id, which never changes"`
	Name          string     `json:"name" doc:"Its name"`
	State         string     `json:"state" enum:"pending,online,offline,removed" doc:"Whether its agent is connected"`
	Region        string     `json:"region" example:"default"`
	Cordoned      bool       `json:"cordoned" doc:"Gets nothing new"`
	EngineVersion string     `json:"engine_version,omitempty" doc:"Of its container engine"`
	AgentVersion  string     `json:"agent_version,omitempty" doc:"Of Sky, on the node"`
	CPUs          int        `json:"cpus,omitempty" doc:"How many it has"`
	MemoryBytes   int64      `json:"memory_bytes,omitempty" doc:"How much it has"`
	DiskBytes     int64      `json:"disk_bytes,omitempty" doc:"How much it has"`
	Builds        int        `json:"builds,omitempty" doc:"How many builds it runs at once; none is no builder"`
	SeenAt        *time.Time `json:"seen_at,omitempty" doc:"When its agent was last heard of"`
	// What its last heartbeat said.
	CPUPercent      int   `json:"cpu_percent" doc:"Of all its CPUs"`
	MemoryUsedBytes int64 `json:"memory_used_bytes" doc:"How much is used"`
	DiskUsedBytes   int64 `json:"disk_used_bytes" doc:"How much is used"`
	Containers      int   `json:"containers" doc:"How many run"`
	// What it has promised.
	Instances      int   `json:"instances" doc:"How many are assigned to it"`
	ReservedMillis int64 `json:"reserved_millis" doc:"Thousandths of a CPU that plans promise"`
	ReservedBytes  int64 `json:"reserved_bytes" doc:"Memory that plans promise"`
}

// NewNode is a node to add.
type NewNode struct {
	Name   string `json:"name" maxLength:"40" example:"worker-1"`
	Region string `json:"region,omitempty" maxLength:"40" doc:"By default \"default\""`
}

// JoinToken registers a node's agent, once.
type JoinToken struct {
	Node  Node   `json:"node"`
	Token string `json:"token" doc:"Shown this once; valid for an hour"`
}

// Join asks for a node's credential with its join token.
type Join struct {
	Token string `json:"token" maxLength:"200" doc:"What add-node or rejoin-node answered"`
}

// Credential is what an agent proves itself with.
type Credential struct {
	NodeID string `json:"node_id" doc:"The node that it is for"`
	Token  string `json:"token" doc:"Shown this once"`
}

// Problem is an error, as RFC 9457 describes it.
type Problem struct {
	Type   string `json:"type" doc:"Always about:blank: code says more"`
	Title  string `json:"title" doc:"The HTTP status in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Detail string `json:"detail" doc:"What is wrong, for a person"`
	Code   string `json:"code" doc:"A stable name for programs"`
	Field  string `json:"field,omitempty" doc:"The input at fault"`
	Remedy string `json:"remedy,omitempty" doc:"What to do about it"`
}

// Error returns what a person may read.
func (p *Problem) Error() string { return p.Detail }

// CertificateRequest asks to certify an agent's key.
type CertificateRequest struct {
	Request string `json:"request,omitempty" maxLength:"8192" doc:"A PKCS #10 request, in PEM"`
}

// Certificate is what an agent proves itself with to other agents.
type Certificate struct {
	Certificate string `json:"certificate" doc:"The node's, in PEM"`
	Authority   string `json:"authority" doc:"Who made it, in PEM"`
}
