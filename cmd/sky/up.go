package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/skypanel/sky/agent"
	"github.com/skypanel/sky/fleet"
	"github.com/skypanel/sky/metrics"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// localNode is the name of the machine that `sky up` runs on.
const localNode = "local"

func upCommand(s streams) *cobra.Command {
	config := &serverConfig{}
	command := &cobra.Command{
		Use: "up", Short: "Run everything on this machine", Args: cobra.NoArgs,
		Long: "Run the git server, the build pipeline, the API, the ingress and an agent for this machine\n" +
			"in one process, with SQLite in the data directory. The admin's API token is in DATA/admin-token.",
		RunE: func(command *cobra.Command, _ []string) error { return up(command.Context(), config, s) },
	}
	config.bind(command.Flags())
	return command
}

func up(ctx context.Context, config *serverConfig, s streams) error {
	if config.replica != "" {
		return usagef("--replica is for sky server: one of several control planes has no node of its own")
	}
	c, err := newControlPlane(ctx, config, s)
	if err != nil {
		return err
	}
	c.platform.Settings.LocalNode = localNode
	ingress, err := listen("ingress", config.ingress)
	if err != nil {
		return fmt.Errorf("%w", joinClose(err, c))
	}
	node, err := c.platform.EnsureNode(ctx, localNode)
	if err != nil {
		return joinClose(err, c)
	}
	local, err := c.localAgent(node, ingress)
	if err != nil {
		return joinClose(err, c)
	}
	if c.monitor != nil {
		if err := c.monitor.Show(metrics.NewNode(local)); err != nil {
			return joinClose(err, c)
		}
	}
	return c.run(ctx, func(ctx context.Context) error {
		return together(ctx, local.Run, func(ctx context.Context) error { return c.announce(ctx, node.ID, s) })
	})
}

// together runs parts until all have ended; an error of one ends the others.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
	return group.Wait()
}

func joinClose(err error, c *controlPlane) error {
	if closed := c.close(); closed != nil {
		c.log.Error("close", "error", closed)
	}
	return err
}

// localAgent is this machine's agent. It speaks the same protocol over loopback
// as an agent elsewhere.
func (c *controlPlane) localAgent(node models.Node, ingress net.Listener) (*agent.Agent, error) {
	door := local(c.config.http)
	if c.website != nil { // whose certificate need not be this address'
		var err error
		if c.localL, err = listen("http", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		door = c.localL.Addr().String()
	}
	return agent.New(agent.Config{
		NodeID: node.ID.String(), DataDir: filepath.Join(c.config.dataDir, "agent"),
		ServerURL:  "http://" + door,
		Token:      func(context.Context) (string, error) { return c.platform.AgentToken(node.ID) },
		Runtime:    c.config.runtime,
		DockerHost: c.config.dockerHost, Listener: ingress, PeerAddr: c.config.peer, Version: version, Logger: c.log,
	})
}

// announce says that a push would be accepted: the doors are open and the agent
// has come.
func (c *controlPlane) announce(ctx context.Context, node models.ID, s streams) error {
	trouble := ""
	err := c.fleet.Wait(ctx, func(view fleet.View) (bool, error) {
		trouble = view.Trouble(node)
		return view.Online(node), nil
	})
	if err != nil {
		return nil // stopped before it was ready
	}
	if err := c.builder.Check(ctx); err != nil {
		fmt.Fprintf(s.err, "warning: %s\n", err)
	} else if trouble != "" {
		fmt.Fprintf(s.err, "warning: %s\n", trouble)
	}
	fmt.Fprintf(s.err, "git    ssh://git@%s/APP.git\napi    %s\napps   %s\ntoken  %s\n",
		c.config.publicSSH, c.config.publicURL,
		c.platform.Settings.URL("APP"), platform.TokenFile(c.config.dataDir))
	c.announceSetup(s)
	fmt.Fprintln(s.out, "sky is ready")
	return nil
}
