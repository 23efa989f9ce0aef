package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/agent"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/platform"
	"github.com/spf13/cobra"
)

const runtimeUsage = "what runs instances: docker, or swarm, where this machine is a manager of a Docker Swarm"

type agentConfig struct {
	server, token, dataDir, ingress, peer, metrics, runtime, dockerHost, logLevel string

	builds int
}

func agentCommand(s streams) *cobra.Command {
	config := &agentConfig{}
	command := &cobra.Command{
		Use: "agent", Short: "Run a worker node's agent", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runAgent(command.Context(), config, s) },
	}
	flags := command.PersistentFlags()
	flags.StringVar(&config.server, "server", "", "the control plane's address, such as http://10.0.0.1:8080")
	flags.StringVar(&config.token, "join", "", "join token, for the first start; an admin makes it with `sky admin nodes add NAME`")
	flags.StringVar(&config.dataDir, "data-dir", defaultDataDir(), "where the agent keeps its assignment")
	command.AddCommand(agentJoinCommand(config, s))
	flags = command.Flags()
	flags.StringVar(&config.ingress, "ingress", "0.0.0.0:80", "address at which apps answer")
	flags.StringVar(&config.peer, "peer", ":7443", "address at which other nodes reach this one's instances, over TLS; without a host, the one that the control plane sees")
	flags.StringVar(&config.metrics, "metrics", "", "address at which Prometheus reads /metrics, without credentials: keep it private, such as 10.0.0.5:9100; empty shows nothing")
	flags.StringVar(&config.runtime, "runtime", agent.RuntimeDocker, runtimeUsage)
	flags.StringVar(&config.dockerHost, "docker-host", "", "Docker's address; empty as the docker command finds it")
	flags.IntVar(&config.builds, "builds", 0, "how many builds run here at once; with more than 0 this node is a builder, and the control plane builds no more itself")
	flags.StringVar(&config.logLevel, "log-level", "info", "debug, info, warn or error")
	return command
}

// agentJoinCommand registers and starts nothing.
func agentJoinCommand(config *agentConfig, s streams) *cobra.Command {
	return &cobra.Command{
		Use: "join", Short: "Register this machine as a node, and start nothing", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if config.server == "" {
				return usagef("--server is missing: pass the control plane's address")
			}
			credential, err := openCredential(command.Context(), config)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "registered as node %s\n", credential.held.NodeID)
			return nil
		},
	}
}

func runAgent(ctx context.Context, config *agentConfig, s streams) error {
	if config.server == "" {
		return usagef("--server is missing: pass the control plane's address")
	}
	if err := checkRuntime(config.runtime); err != nil {
		return err
	}
	if config.builds < 0 {
		return usagef("--builds must be 0 or more")
	}
	log, err := newLogger(s.err, config.logLevel)
	if err != nil {
		return err
	}
	credential, err := openCredential(ctx, config)
	if err != nil {
		return err
	}
	ingress, err := listen("ingress", config.ingress)
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{
		NodeID: credential.held.NodeID, DataDir: filepath.Join(config.dataDir, "agent"), ServerURL: config.server,
		Token: credential.token, HTTPClient: credential.client, Runtime: config.runtime, DockerHost: config.dockerHost, Listener: ingress, PeerAddr: config.peer,
		Builder: config.builder(log), Version: version, Logger: log,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "sky agent is running")
	return runMonitored(ctx, a, config.metrics)
}

func checkRuntime(name string) error {
	if runtimes := agent.Runtimes(); name != "" && !slices.Contains(runtimes, name) {
		return usagef("--runtime %q: use %s", name, strings.Join(runtimes, " or "))
	}
	return nil
}

// credential is what the agent proves itself with, kept on its disk and renewed
// at half its life.
type credential struct {
	server string
	path   string
	client *http.Client // trusts whom the join token says

	mu      sync.Mutex
	held    v1.Credential
	renewAt time.Time
}

// openCredential reads the credential of a former start, or joins with the
// token.
func openCredential(ctx context.Context, config *agentConfig) (*credential, error) {
	c := &credential{server: config.server, path: filepath.Join(config.dataDir, "agent-credential.json")}
	var err error
	if c.client, err = pinnedClient(ctx, config); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.path)
	if err == nil {
		return c, json.Unmarshal(text, &c.held)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read credential: %w", err)
	}
	if config.token == "" {
		return nil, usagef("--join is missing: this machine is not registered yet")
	}
	client := &v1.Client{URL: config.server, HTTP: c.client}
	if c.held, err = client.Join(ctx, config.token); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	c.renewAt = time.Now().Add(platform.AgentTokenLife / 2)
	return c, c.keep()
}

func (c *credential) keep() error {
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return fmt.Errorf("keep credential: %w", err)
	}
	text, err := json.Marshal(c.held)
	if err != nil {
		return fmt.Errorf("keep credential: %w", err)
	}
	if err := durable.WriteFile(c.path, text); err != nil {
		return fmt.Errorf("keep credential: %w", err) // the join token is spent: this is all there is
	}
	return nil
}

// token returns the credential for a new link and renews it in time. When the
// control plane does not answer, the one held must do.
func (c *credential) token(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.renewAt) {
		return c.held.Token, nil
	}
	client := &v1.Client{URL: c.server, Token: c.held.Token, HTTP: c.client}
	if fresh, err := client.Renew(ctx); err == nil {
		c.held, c.renewAt = fresh, time.Now().Add(platform.AgentTokenLife/2)
		if err := c.keep(); err != nil {
			return "", err
		}
	}
	return c.held.Token, nil
}
