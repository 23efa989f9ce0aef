package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/api"
	"github.com/skypanel/sky/buildfarm"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/fleet"
	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/internal/relay"
	"github.com/skypanel/sky/metrics"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	rolloutPatience = 5 * time.Minute
	probePause      = 5 * time.Millisecond
	shutdownGrace   = 10 * time.Second
)

func serverCommand(s streams) *cobra.Command {
	config := &serverConfig{}
	command := &cobra.Command{
		Use: "server", Short: "Run the control plane; agents run elsewhere", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := newControlPlane(command.Context(), config, s)
			if err != nil {
				return ignore(err, context.Canceled) // ended while it stood by
			}
			return c.run(command.Context(), func(context.Context) error {
				c.announceSetup(s)
				fmt.Fprintln(s.out, "sky is ready")
				return nil
			})
		},
	}
	config.bind(command.Flags())
	return command
}

// controlPlane is all parts but the agent, wired.
type controlPlane struct {
	config   *serverConfig
	log      *slog.Logger
	lock     *os.File
	store    *store.Store
	logs     *logs.Hub
	builder  *buildpipeline.Builder
	farm     *buildfarm.Farm
	dialer   *http.Client // for other servers, such as GitHub
	images   *images
	platform *platform.Platform
	fleet    *fleet.Fleet
	counts   *metrics.Counts
	monitor  *metrics.Monitor // nil where nobody is to read it
	setup    *platform.Link
	http     *http.Server
	ssh      *gitserver.SSH
	website  *tls.Config // of the API; nil without TLS
	httpL    net.Listener
	sshL     net.Listener
	replicaL net.Listener
	localL   net.Listener      // for the agent on this machine, where the API speaks TLS
	relay    *relay.Relay      // nil where this is the only control plane
	lead     *store.Leadership // nil on SQLite
}

// newControlPlane opens everything that a control plane needs. Nothing is
// served yet.
func newControlPlane(ctx context.Context, config *serverConfig, s streams) (*controlPlane, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	log, err := newLogger(s.err, config.logLevel)
	if err != nil {
		return nil, err
	}
	c := &controlPlane{config: config, log: log}
	if config.replica == "" {
		if c.lock, err = lockDataDir(config.dataDir); err != nil {
			return nil, err
		}
	}
	if err := c.listen(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.awaitLead(ctx, s.out); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := platform.CheckRestored(config.dataDir); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func newLogger(to io.Writer, level string) (*slog.Logger, error) {
	var parsed slog.Level
	if err := parsed.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: parsed})), nil
}

// lockDataDir keeps a second Sky away from the data directory, until the
// process ends.
func lockDataDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another sky uses %s: stop it, or pass another --data-dir", dir), file.Close())
	}
	return file, nil
}

func (c *controlPlane) listen() (err error) {
	if c.httpL, err = listen("http", c.config.http); err != nil {
		return err
	}
	c.sshL, err = listen("ssh", c.config.ssh)
	return err
}

func (c *controlPlane) open(ctx context.Context) error {
	var err error
	if c.store, err = c.openStore(ctx); err != nil {
		return err
	}
	if c.logs, err = logs.Open(filepath.Join(c.config.dataDir, "logs")); err != nil {
		return err
	}
	extraCA, err := c.config.readCA()
	if err != nil {
		return err
	}
	if c.dialer, err = trusting(extraCA); err != nil {
		return err
	}
	reach, err := buildpipeline.ParseReach(c.config.buildAllow)
	if err != nil {
		return err
	}
	c.builder, err = buildpipeline.New(buildpipeline.Config{
		DockerHost: c.config.dockerHost, ExtraCA: extraCA, MinFreeBytes: c.config.minFreeMB << 20, Version: version, Reach: reach, Notes: c.log,
	})
	if err != nil {
		return err
	}
	if c.images, err = openImages(ctx, c.config.dataDir); err != nil {
		return err
	}
	if err := c.openFarm(ctx, extraCA); err != nil {
		return err
	}
	c.images.farm = c.farm
	return c.wire(ctx)
}

func listen(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w", flag, address, err)
	}
	return listener, nil
}

func (c *controlPlane) openStore(ctx context.Context) (*store.Store, error) {
	if c.lead != nil {
		return c.lead.Open(ctx)
	}
	return store.OpenSQLite(ctx, filepath.Join(c.config.dataDir, "sky.db"))
}

// wire connects the parts. The platform and the fleet know each other by the
// interfaces that each declares.
func (c *controlPlane) wire(ctx context.Context) error {
	sealed, err := c.store.HasSealed(ctx)
	if err != nil {
		return err
	}
	vault, err := platform.OpenVault(filepath.Join(c.config.dataDir, "keys", "master.json"), sealed)
	if err != nil {
		return err
	}
	authority, err := platform.OpenAuthority(filepath.Join(c.config.dataDir, "keys", "nodes.pem"))
	if err != nil {
		return err
	}
	agentCA, err := c.openWebsite(authority)
	if err != nil {
		return err
	}
	repos := &gitserver.Repositories{Dir: filepath.Join(c.config.dataDir, "repositories"), Log: c.log}
	remotes := repositories{Repositories: repos, fetcher: gitserver.Fetcher{Repositories: repos, Limits: c.config.gitLimits()}, client: c.dialer}
	_, port, _ := net.SplitHostPort(c.config.ingress)
	p := &platform.Platform{
		Store: c.store, Repositories: remotes, Builder: c.farm, Logs: c.logs, Vault: vault, Resolver: net.DefaultResolver, Log: c.log,
		HTTP: c.dialer, Images: c.images, Authority: authority,
		Settings: platform.Settings{
			PublicURL: c.config.publicURL, AgentCA: agentCA,
			Domain: c.config.domain, IngressAddr: local(c.config.ingress), PublicPort: port,
			DataDir: c.config.dataDir, MinFreeBytes: c.config.minFreeMB << 20, CatchUpEvery: c.config.catchUpEvery,
		},
	}
	c.platform = p
	c.fleet = fleet.New(context.WithoutCancel(ctx), fleet.Config{
		Authenticate: agentDoor(p), Assignments: p, Logs: p, Nodes: p, Builders: builders{c.farm, p}, Logger: c.log,
	})
	p.Fleet = rolloutFleet{c.fleet}
	p.Roller = &rollout.Roller{Store: p, Fleet: p.Fleet, Probe: c.probe, Patience: rolloutPatience, LostAfter: p.LostAfter}
	if err := errors.Join(repos.Recover(ctx), c.watch(ctx)); err != nil {
		return err
	}
	return c.doors(repos)
}

// probe asks an App's public route through this machine's ingress, or, where there
// is none here, through a node's. It is nil where no node has one.
func (c *controlPlane) probe(app models.App) *rollout.Probe {
	address := local(c.config.ingress)
	if c.platform.Settings.LocalNode == "" {
		address = c.platform.IngressAddress()
	}
	if address == "" {
		return nil
	}
	return &rollout.Probe{URL: "http://" + address + "/", Host: c.platform.Settings.Host(app.Name), Pause: probePause}
}

// doors makes the git doors and the API.
func (c *controlPlane) doors(repos *gitserver.Repositories) error {
	hostKeys, err := gitserver.LoadHostKeys(filepath.Join(c.config.dataDir, "keys"))
	if err != nil {
		return err
	}
	door := gitserver.Door{Repositories: repos, Receiver: receiver{c.platform}, Log: c.log, Limits: c.config.gitLimits()}
	c.ssh = &gitserver.SSH{Door: door, HostKeys: hostKeys}
	rest := api.New(api.Config{
		Platform: c.platform, Backups: &platform.Backups{Platform: c.platform, Repositories: snapshots{repos}, Version: version},
		Link: c.fleet.Handler(), LinkPath: protocol.LinkPath, Version: version, Program: ownProgram(), Log: c.log,
		TrustedProxies: c.config.proxies, RequestsPerMinute: c.config.apiRate, Answered: c.counts.Answered,
		GitURL: func(app string) string {
			return "ssh://git@" + c.config.publicSSH + "/" + app + ".git"
		},
	})
	git := &gitserver.HTTP{Door: door}
	images := http.StripPrefix(protocol.RegistryPath, c.images.registry.Agents(mayPull(c.platform, c.farm), mayPush(c.platform, c.farm)))
	c.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case gitserver.GitPath(r.URL.Path):
				git.ServeHTTP(w, r)
			case strings.HasPrefix(r.URL.Path, protocol.RegistryPath+"/"):
				images.ServeHTTP(w, r)
			default:
				rest.ServeHTTP(w, r)
			}
		}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// run serves until ctx ends, then stops in order: no new work, work handed over,
// doors closed. beside runs as long; its error ends everything.
func (c *controlPlane) run(ctx context.Context, beside func(ctx context.Context) error) error {
	if err := c.prepare(ctx); err != nil {
		return errors.Join(err, c.close())
	}
	go c.endWhenDeposed(ctx)
	c.begin()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignore(c.http.Serve(c.secured(c.httpL)), http.ErrServerClosed) })
	group.Go(func() error { return c.ssh.Serve(c.sshL) })
	if c.localL != nil {
		group.Go(func() error { return ignore(c.http.Serve(c.localL), http.ErrServerClosed) })
	}
	group.Go(func() error { return beside(ctx) })
	if c.monitor != nil {
		group.Go(func() error { return c.monitor.Run(ctx) })
	}
	group.Go(func() error {
		<-ctx.Done()
		return c.shutdown(context.WithoutCancel(ctx))
	})
	return errors.Join(group.Wait(), c.close())
}

// prepare does what a first start needs and takes up interrupted work.
func (c *controlPlane) prepare(ctx context.Context) error {
	if err := c.platform.EnsureAdmin(ctx, platform.TokenFile(c.config.dataDir)); err != nil {
		return err
	}
	if _, err := c.platform.Seed(ctx); err != nil {
		return err
	}
	var err error
	if c.setup, err = c.platform.SetupLink(ctx); err != nil {
		return err
	}
	return c.platform.Start(ctx)
}

// announceSetup shows the first admin's link, until it was used.
func (c *controlPlane) announceSetup(s streams) {
	if c.setup != nil {
		fmt.Fprintf(s.err, "setup  %s\n", c.setup.URL)
	}
}

func (c *controlPlane) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	c.platform.Stop()
	err := c.ssh.Shutdown(ctx)
	closed := c.fleet.Close()
	if stuck := c.http.Shutdown(ctx); stuck != nil {
		closed = errors.Join(closed, c.http.Close())
	}
	return errors.Join(ignore(err, context.DeadlineExceeded), closed)
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// close lets go of everything that open took.
func (c *controlPlane) close() error {
	var errs []error
	for _, listener := range []net.Listener{c.httpL, c.sshL, c.replicaL, c.localL} {
		if listener != nil {
			_ = listener.Close() // closed already when it was served
		}
	}
	if c.monitor != nil {
		c.monitor.Close()
	}
	if c.farm != nil {
		c.farm.Close()
	}
	if c.images != nil {
		errs = append(errs, c.images.close())
	}
	if c.builder != nil {
		errs = append(errs, c.builder.Close())
	}
	if c.logs != nil {
		errs = append(errs, c.logs.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if c.lead != nil {
		errs = append(errs, c.lead.Close())
	}
	if c.lock != nil {
		errs = append(errs, c.lock.Close())
	}
	return errors.Join(errs...)
}

// ownProgram is the file of this program; "" when it cannot be told.
func ownProgram() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}
