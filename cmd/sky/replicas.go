package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/skypanel/sky/internal/relay"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
)

// exitDeposed ends a control plane that leads no more, with the code that asks to be
// started again (EX_TEMPFAIL of sysexits.h).
const exitDeposed = 75

// awaitLead returns once this is the control plane that leads its database; SQLite's
// is the only one that it lets into its directory. While it stands by, its doors hand
// connections on to who leads.
func (c *controlPlane) awaitLead(ctx context.Context, say io.Writer) error {
	if c.config.databaseURL == "" {
		return nil
	}
	candidate := &store.Candidate{Database: c.config.databaseURL, Address: c.config.replica, Log: c.log}
	var err error
	if c.config.replica == "" {
		c.lead, err = candidate.Lead(ctx)
		if errors.Is(err, store.ErrLed) {
			return fmt.Errorf("%w: give each of several control planes an address by --replica", err)
		}
		return err
	}
	if err := c.openRelay(ctx, candidate); err != nil {
		return err
	}
	fmt.Fprintln(say, "sky stands by")
	c.lead, err = candidate.Await(ctx)
	return err
}

// openRelay puts the relay before the doors of this control plane.
func (c *controlPlane) openRelay(ctx context.Context, candidate *store.Candidate) error {
	var err error
	if c.replicaL, err = listen("replica", c.config.replica); err != nil {
		return err
	}
	c.relay = &relay.Relay{Leader: candidate.Leader, TLS: c.replicaTLS(), Log: c.log}
	ctx = context.WithoutCancel(ctx) // close ends the doors
	c.httpL, c.sshL = c.relay.Door(ctx, "http", c.httpL), c.relay.Door(ctx, "ssh", c.sshL)
	go func() {
		if err := c.relay.Serve(c.replicaL); !errors.Is(err, net.ErrClosed) {
			c.log.Error("other control planes' connections are not taken any more", "error", err)
		}
	}()
	return nil
}

// replicaTLS reads the authority when it is first there. The first leader makes it, and
// nobody else: until it has, there is nobody to connect to.
func (c *controlPlane) replicaTLS() func() (*tls.Config, error) {
	path := filepath.Join(c.config.dataDir, "keys", "nodes.pem")
	var known atomic.Pointer[platform.Authority]
	return func() (*tls.Config, error) {
		if known.Load() == nil {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("the nodes' authority: %w", err)
			}
			authority, err := platform.OpenAuthority(path)
			if err != nil {
				return nil, err
			}
			known.Store(authority)
		}
		return known.Load().ControlPlane()
	}
}

// begin lets the doors serve.
func (c *controlPlane) begin() {
	if c.relay != nil {
		c.relay.Lead()
	}
}

// endWhenDeposed ends the process at once when the lead is lost: another control
// plane may act already, and nothing that goes on here can count.
func (c *controlPlane) endWhenDeposed(ctx context.Context) {
	if c.lead == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.lead.Lost():
		c.log.Error("another control plane may lead: this one ends, to be started again")
		os.Exit(exitDeposed)
	}
}
