package v1

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Plan is what an instance gets, and what it costs.
type Plan struct {
	Name             string    `json:"name" example:"basic"`
	Description      string    `json:"description" doc:"For the price list"`
	CPUMillis        int64     `json:"cpu_millis" doc:"Thousandths of a CPU" example:"1000"`
	MemoryBytes      int64     `json:"memory_bytes" doc:"Of each instance"`
	StorageBytes     int64     `json:"storage_bytes" doc:"What an instance may write"`
	Pids             int64     `json:"pids" doc:"Processes and threads"`
	BuildCPUMillis   int64     `json:"build_cpu_millis" doc:"Thousandths of a CPU that a step of a build may use; 0 is all"`
	BuildMemoryBytes int64     `json:"build_memory_bytes" doc:"Of a step of a build"`
	BuildMinutes     int       `json:"build_minutes" doc:"How long a build may take"`
	MaxInstances     int       `json:"max_instances" doc:"Of one app"`
	PriceMonthMicros int64     `json:"price_month_micros" doc:"For the price list"`
	PriceHourMicros  int64     `json:"price_hour_micros" doc:"Of each running instance"`
	Position         int       `json:"position" doc:"In the price list"`
	Active           bool      `json:"active" doc:"Whether it can be chosen"`
	Runtimes         []string  `json:"runtimes" doc:"What apps on it may be built on" example:"[\"node 22\"]"`
	Apps             int64     `json:"apps" doc:"How many have it; only admins are told"`
	CreatedAt        time.Time `json:"created_at" doc:"When it was made"`
}

// PlanChange holds the settings of a plan to make or to change; what is left out
// stays, or is the default plan's.
type PlanChange struct {
	Name             *string   `json:"name,omitempty" maxLength:"40" doc:"1 to 40 lower-case letters, digits and dashes, beginning with a letter"`
	Description      *string   `json:"description,omitempty" maxLength:"500" doc:"For the price list"`
	CPUMillis        *int64    `json:"cpu_millis,omitempty" doc:"Thousandths of a CPU"`
	MemoryBytes      *int64    `json:"memory_bytes,omitempty" doc:"Of each instance"`
	StorageBytes     *int64    `json:"storage_bytes,omitempty" doc:"What an instance may write"`
	Pids             *int64    `json:"pids,omitempty" doc:"Processes and threads"`
	BuildCPUMillis   *int64    `json:"build_cpu_millis,omitempty" doc:"Thousandths of a CPU that a step of a build may use; 0 is all"`
	BuildMemoryBytes *int64    `json:"build_memory_bytes,omitempty" doc:"Of a step of a build"`
	BuildMinutes     *int      `json:"build_minutes,omitempty" doc:"How long a build may take"`
	MaxInstances     *int      `json:"max_instances,omitempty" doc:"Of one app"`
	PriceMonthMicros *int64    `json:"price_month_micros,omitempty" doc:"For the price list"`
	PriceHourMicros  *int64    `json:"price_hour_micros,omitempty" doc:"Of each running instance; what runs keeps its price"`
	Position         *int      `json:"position,omitempty" doc:"In the price list"`
	Active           *bool     `json:"active,omitempty" doc:"Whether it can be chosen"`
	Runtimes         *[]string `json:"runtimes,omitempty" maxItems:"200" doc:"All that it allows"`
}

// Runtime is a language version and the images that build and run it.
type Runtime struct {
	ID           string    `json:"id" doc:"Its id, which never changes"`
	Type         string    `json:"type" example:"node"`
	Version      string    `json:"version" example:"22"`
	BuildImage   string    `json:"build_image" doc:"Builds run in it"`
	RunImage     string    `json:"run_image" doc:"Instances run in it"`
	BuildCommand string    `json:"build_command" doc:"In place of the buildpack's, where the app has none of its own"`
	StartCommand string    `json:"start_command" doc:"In place of the buildpack's, where neither the app nor its Procfile has one"`
	Default      bool      `json:"default" doc:"Taken when an app asks for no version"`
	Active       bool      `json:"active" doc:"Whether it can be used"`
	CreatedAt    time.Time `json:"created_at" doc:"When it was made"`
}

// RuntimeChange holds the settings of a runtime to make or to change.
type RuntimeChange struct {
	Type         *string `json:"type,omitempty" maxLength:"20" doc:"The language"`
	Version      *string `json:"version,omitempty" maxLength:"20" doc:"Of the language"`
	BuildImage   *string `json:"build_image,omitempty" maxLength:"255" doc:"Builds run in it"`
	RunImage     *string `json:"run_image,omitempty" maxLength:"255" doc:"Instances run in it"`
	BuildCommand *string `json:"build_command,omitempty" maxLength:"1000" doc:"In place of the buildpack's; empty is the buildpack's"`
	StartCommand *string `json:"start_command,omitempty" maxLength:"1000" doc:"In place of the buildpack's; empty is the buildpack's"`
	Default      *bool   `json:"default,omitempty" doc:"Taken when an app asks for no version"`
	Active       *bool   `json:"active,omitempty" doc:"Whether it can be used"`
}

// NodeChange holds the settings to change.
type NodeChange struct {
	Region   *string `json:"region,omitempty" maxLength:"40" doc:"Where it is"`
	Cordoned *bool   `json:"cordoned,omitempty" doc:"Cordoned nodes get nothing new"`
}

// Region is where nodes are.
type Region struct {
	Name           string `json:"name" example:"default"`
	Nodes          int    `json:"nodes" doc:"That take new instances now"`
	CPUMillis      int64  `json:"cpu_millis" doc:"Thousandths of a CPU that its nodes may promise"`
	MemoryBytes    int64  `json:"memory_bytes" doc:"What its nodes may promise"`
	ReservedMillis int64  `json:"reserved_millis" doc:"What plans promise"`
	ReservedBytes  int64  `json:"reserved_bytes" doc:"What plans promise"`
	Full           bool   `json:"full" doc:"Whether nothing more fits"`
}

// Settings are what admins decide while Sky runs.
type Settings struct {
	Currency                string `json:"currency" example:"EUR"`
	Billing                 bool   `json:"billing" doc:"Whether organisations pay from their wallets"`
	GraceHours              int    `json:"grace_hours" doc:"How long an organisation without funds runs on"`
	LowBalanceHours         int    `json:"low_balance_hours" doc:"Funds that last shorter are worth a notice"`
	DefaultPlan             string `json:"default_plan" doc:"For apps that ask for none"`
	CustomImages            bool   `json:"custom_images" doc:"Dockerfiles, and images beyond the official ones"`
	VerifyDomains           bool   `json:"verify_domains" doc:"Owners prove their domains by a DNS record"`
	KeepReleases            int    `json:"keep_releases" doc:"How many of an app's releases that served keep their images"`
	CacheMB                 int    `json:"cache_mb" doc:"What the builds' cache may take of the disk; 0 is no bound"`
	AppCacheMB              int    `json:"app_cache_mb" doc:"What the caches that one app's builds mount may take of it; 0 is no bound"`
	MaxAppsPerOrganisation  int    `json:"max_apps_per_organisation" doc:"How many it may have"`
	MaxOrganisationsPerUser int    `json:"max_organisations_per_user" doc:"How many somebody may make"`
	CPUOvercommitPercent    int    `json:"cpu_overcommit_percent" doc:"How much of the nodes' CPUs plans may promise"`
	MemoryOvercommitPercent int    `json:"memory_overcommit_percent" doc:"How much of the nodes' memory, less what is kept for the system, plans may promise"`
	LostAfterSeconds        int    `json:"lost_after_seconds" doc:"A node that is offline for longer has its instances replaced elsewhere"`
}

// SettingsChange holds the settings to change; what is left out stays.
type SettingsChange struct {
	Currency                *string `json:"currency,omitempty" maxLength:"3" doc:"Three letters of ISO 4217"`
	Billing                 *bool   `json:"billing,omitempty" doc:"Whether organisations pay from their wallets"`
	GraceHours              *int    `json:"grace_hours,omitempty" doc:"How long an organisation without funds runs on"`
	LowBalanceHours         *int    `json:"low_balance_hours,omitempty" doc:"Funds that last shorter are worth a notice"`
	DefaultPlan             *string `json:"default_plan,omitempty" maxLength:"40" doc:"For apps that ask for none"`
	CustomImages            *bool   `json:"custom_images,omitempty" doc:"Dockerfiles, and images beyond the official ones"`
	VerifyDomains           *bool   `json:"verify_domains,omitempty" doc:"Owners prove their domains by a DNS record"`
	KeepReleases            *int    `json:"keep_releases,omitempty" doc:"How many of an app's releases that served keep their images"`
	CacheMB                 *int    `json:"cache_mb,omitempty" doc:"What the builds' cache may take of the disk; 0 is no bound"`
	AppCacheMB              *int    `json:"app_cache_mb,omitempty" doc:"What the caches that one app's builds mount may take of it; 0 is no bound"`
	MaxAppsPerOrganisation  *int    `json:"max_apps_per_organisation,omitempty" doc:"How many it may have"`
	MaxOrganisationsPerUser *int    `json:"max_organisations_per_user,omitempty" doc:"How many somebody may make"`
	CPUOvercommitPercent    *int    `json:"cpu_overcommit_percent,omitempty" doc:"How much of the nodes' CPUs plans may promise"`
	MemoryOvercommitPercent *int    `json:"memory_overcommit_percent,omitempty" doc:"How much of the nodes' memory, less what is kept for the system, plans may promise"`
	LostAfterSeconds        *int    `json:"lost_after_seconds,omitempty" doc:"A node that is offline for longer has its instances replaced elsewhere"`
}

// Disk is what Sky keeps on the server's disks.
type Disk struct {
	FreeBytes  int64      `json:"free_bytes" doc:"Of the container engine's file system"`
	TotalBytes int64      `json:"total_bytes" doc:"Of the container engine's file system"`
	FloorBytes int64      `json:"floor_bytes" doc:"With less free, nothing is built"`
	Items      []DiskItem `json:"items" doc:"What takes space, the largest images first"`
}

// DiskItem is one thing that takes disk space.
type DiskItem struct {
	Name  string `json:"name" example:"images of shop"`
	Bytes int64  `json:"bytes" doc:"What it takes alone: layers that images share are counted with none"`
	Count int    `json:"count" doc:"How many images or files"`
	Note  string `json:"note" doc:"What bounds it, or how to have it smaller"`
}

// Stats counts what there is.
type Stats struct {
	Organisations int64 `json:"organisations" doc:"How many there are"`
	Suspended     int64 `json:"suspended" doc:"Of the organisations"`
	Users         int64 `json:"users" doc:"How many there are"`
	Apps          int64 `json:"apps" doc:"How many there are"`
	RunningApps   int64 `json:"running_apps" doc:"That have instances"`
	Instances     int64 `json:"instances" doc:"How many are to run"`
	Nodes         int64 `json:"nodes" doc:"How many there are"`
	OnlineNodes   int64 `json:"online_nodes" doc:"Whose agent is connected"`
	Builds        int64 `json:"builds" doc:"Of the last 24 hours, as are the next two"`
	FailedBuilds  int64 `json:"failed_builds" doc:"Of those builds"`
	Releases      int64 `json:"releases" doc:"Of the last 24 hours"`
	QueuedBuilds  int64 `json:"queued_builds" doc:"That wait or run now"`
}

// Rotation is a change of the master key.
type Rotation struct {
	Key      string `json:"key" doc:"The id of the key that seals from now on"`
	Resealed int    `json:"resealed" doc:"How many secrets were sealed anew"`
}

// Domain is a hostname that leads to an app.
type Domain struct {
	Host       string      `json:"host" example:"shop.example.com"`
	App        string      `json:"app" doc:"Where it leads"`
	State      string      `json:"state" enum:"pending,verified" doc:"Whether its owner was proven"`
	Error      string      `json:"error,omitempty" doc:"Why the last check failed"`
	Records    []DNSRecord `json:"records" doc:"What your DNS needs"`
	CheckedAt  *time.Time  `json:"checked_at,omitempty" doc:"When its DNS was asked last"`
	VerifiedAt *time.Time  `json:"verified_at,omitempty" doc:"When its owner was proven"`
	CreatedAt  time.Time   `json:"created_at" doc:"When it was made"`
}

// DNSRecord is a record to make.
type DNSRecord struct {
	Type    string `json:"type" enum:"CNAME,ALIAS,TXT" doc:"Its kind"`
	Name    string `json:"name" doc:"Where it belongs"`
	Value   string `json:"value" doc:"What it says"`
	Purpose string `json:"purpose" doc:"What it is good for"`
}

// NewDomain is a domain to add.
type NewDomain struct {
	Host string `json:"host" maxLength:"254" example:"shop.example.com"`
}

// AppPlan moves an app to another plan.
type AppPlan struct {
	Plan string `json:"plan" maxLength:"40" example:"standard"`
}

// Plans lists the plans that can be chosen.
func (c *Client) Plans(ctx context.Context) ([]Plan, error) {
	return list[Plan](ctx, c, customer+"/plans?")
}

// Runtimes lists the runtimes that can be used; an empty kind is all.
func (c *Client) Runtimes(ctx context.Context, kind string) ([]Runtime, error) {
	return list[Runtime](ctx, c, customer+"/runtimes?type="+url.QueryEscape(kind))
}

// Regions lists the regions.
func (c *Client) Regions(ctx context.Context) ([]Region, error) {
	return call[[]Region](ctx, c, http.MethodGet, customer+"/regions", nil)
}

// Domains lists an app's domains.
func (c *Client) Domains(ctx context.Context, app string) ([]Domain, error) {
	return call[[]Domain](ctx, c, http.MethodGet, appPath(app)+"/domains", nil)
}

// AddDomain lets a host lead to an app.
func (c *Client) AddDomain(ctx context.Context, app, host string) (Domain, error) {
	return call[Domain](ctx, c, http.MethodPost, appPath(app)+"/domains", NewDomain{host})
}

// VerifyDomain checks a domain's DNS now.
func (c *Client) VerifyDomain(ctx context.Context, app, host string) (Domain, error) {
	return call[Domain](ctx, c, http.MethodPost, appPath(app)+"/domains/"+url.PathEscape(host)+"/verify", nil)
}

// RemoveDomain takes a host from an app.
func (c *Client) RemoveDomain(ctx context.Context, app, host string) error {
	return c.do(ctx, http.MethodDelete, appPath(app)+"/domains/"+url.PathEscape(host), nil)
}

// ChangeAppPlan moves an app to another plan.
func (c *Client) ChangeAppPlan(ctx context.Context, app, plan string) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, appPath(app)+"/plan", AppPlan{plan})
}

// AllPlans lists every plan, for an admin.
func (c *Client) AllPlans(ctx context.Context) ([]Plan, error) {
	return list[Plan](ctx, c, admin+"/plans?")
}

// Plan returns a plan, for an admin.
func (c *Client) Plan(ctx context.Context, name string) (Plan, error) {
	return call[Plan](ctx, c, http.MethodGet, admin+"/plans/"+url.PathEscape(name), nil)
}

// CreatePlan makes a plan, for an admin.
func (c *Client) CreatePlan(ctx context.Context, wanted PlanChange) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, admin+"/plans", wanted)
}

// ChangePlan changes a plan, for an admin.
func (c *Client) ChangePlan(ctx context.Context, name string, change PlanChange) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPatch, admin+"/plans/"+url.PathEscape(name), change)
}

// DeletePlan removes a plan that nothing has, for an admin.
func (c *Client) DeletePlan(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, admin+"/plans/"+url.PathEscape(name), nil)
}

// AllRuntimes lists every runtime, for an admin; an empty kind is all.
func (c *Client) AllRuntimes(ctx context.Context, kind string) ([]Runtime, error) {
	return list[Runtime](ctx, c, admin+"/runtimes?type="+url.QueryEscape(kind))
}

// Runtime returns a runtime, named "node:22", for an admin.
func (c *Client) Runtime(ctx context.Context, name string) (Runtime, error) {
	return call[Runtime](ctx, c, http.MethodGet, admin+"/runtimes/"+url.PathEscape(name), nil)
}

// CreateRuntime makes a runtime, for an admin.
func (c *Client) CreateRuntime(ctx context.Context, wanted RuntimeChange) (Runtime, error) {
	return call[Runtime](ctx, c, http.MethodPost, admin+"/runtimes", wanted)
}

// ChangeRuntime changes a runtime, for an admin.
func (c *Client) ChangeRuntime(ctx context.Context, name string, change RuntimeChange) (Runtime, error) {
	return call[Runtime](ctx, c, http.MethodPatch, admin+"/runtimes/"+url.PathEscape(name), change)
}

// DeleteRuntime removes a runtime, for an admin; with force also one that apps
// were built with.
func (c *Client) DeleteRuntime(ctx context.Context, name string, force bool) error {
	return c.do(ctx, http.MethodDelete, admin+"/runtimes/"+url.PathEscape(name)+"?force="+strconv.FormatBool(force), nil)
}

// Nodes lists the nodes, for an admin.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return list[Node](ctx, c, admin+"/nodes?")
}

// AddNode makes a node and its join token, for an admin.
func (c *Client) AddNode(ctx context.Context, wanted NewNode) (JoinToken, error) {
	return call[JoinToken](ctx, c, http.MethodPost, admin+"/nodes", wanted)
}

// Node returns a node, for an admin.
func (c *Client) Node(ctx context.Context, name string) (Node, error) {
	return call[Node](ctx, c, http.MethodGet, nodePath(name), nil)
}

// RejoinNode makes a fresh join token for a node, for an admin.
func (c *Client) RejoinNode(ctx context.Context, name string) (JoinToken, error) {
	return call[JoinToken](ctx, c, http.MethodPost, nodePath(name)+"/join-token", nil)
}

// ChangeNode changes a node, for an admin.
func (c *Client) ChangeNode(ctx context.Context, name string, change NodeChange) (Node, error) {
	return call[Node](ctx, c, http.MethodPatch, nodePath(name), change)
}

// DrainNode moves what a node runs to others, for an admin.
func (c *Client) DrainNode(ctx context.Context, name string) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, nodePath(name)+"/drain", nil)
}

// RemoveNode deletes a node that runs nothing, for an admin.
func (c *Client) RemoveNode(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, nodePath(name), nil)
}

func nodePath(name string) string { return admin + "/nodes/" + url.PathEscape(name) }

// AllOrganisations lists every organisation, for an admin.
func (c *Client) AllOrganisations(ctx context.Context) ([]Organisation, error) {
	return list[Organisation](ctx, c, admin+"/organisations?")
}

// SuspendOrganisation stops, or allows again, what an organisation runs, for an
// admin.
func (c *Client) SuspendOrganisation(ctx context.Context, name string, suspension Suspension) (Organisation, error) {
	return call[Organisation](ctx, c, http.MethodPatch, admin+"/organisations/"+url.PathEscape(name), suspension)
}

// Settings returns the platform's settings, for an admin.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	return call[Settings](ctx, c, http.MethodGet, admin+"/settings", nil)
}

// ChangeSettings changes the platform's settings, for an admin.
func (c *Client) ChangeSettings(ctx context.Context, change SettingsChange) (Settings, error) {
	return call[Settings](ctx, c, http.MethodPatch, admin+"/settings", change)
}

// Stats counts what there is, for an admin.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	return call[Stats](ctx, c, http.MethodGet, admin+"/stats", nil)
}

// Disk accounts for the disk space that Sky uses. It may take seconds.
func (c *Client) Disk(ctx context.Context) (Disk, error) {
	return call[Disk](ctx, c, http.MethodGet, admin+"/disk", nil)
}

// Capacity lists what the nodes have, by region, for an admin.
func (c *Client) Capacity(ctx context.Context) ([]Region, error) {
	return call[[]Region](ctx, c, http.MethodGet, admin+"/capacity", nil)
}

// Events lists the newest audit events, for an admin.
func (c *Client) Events(ctx context.Context, kind string, limit int) ([]Event, error) {
	page, err := call[Page[Event]](ctx, c, http.MethodGet, admin+"/events?kind="+url.QueryEscape(kind)+"&limit="+strconv.Itoa(limit), nil)
	return page.Items, err
}

// RotateKeys seals all secrets with a fresh master key, for an admin.
func (c *Client) RotateKeys(ctx context.Context) (Rotation, error) {
	return call[Rotation](ctx, c, http.MethodPost, admin+"/keys/rotate", nil)
}

// Seed adds default plans and runtimes that were never there, for an admin.
func (c *Client) Seed(ctx context.Context) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, admin+"/seed", nil)
}
