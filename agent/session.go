package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	heartbeatEvery = 30 * time.Second
	dialLimit      = 20 * time.Second
	firstRedial    = 250 * time.Millisecond
	lastRedial     = 10 * time.Second
	// settled links begin the back-off anew when they end.
	settledLink = 10 * time.Second
)

// keepSession holds a link to the control plane for as long as ctx lasts.
func (a *Agent) keepSession(ctx context.Context) {
	pause := firstRedial
	for ctx.Err() == nil {
		began := time.Now()
		err := a.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > settledLink {
			pause = firstRedial
		}
		wait := pause/2 + rand.N(pause)
		a.logger.Warn("no link to the control plane", "error", err, "again_in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		pause = min(2*pause, lastRedial)
	}
}

// session is one link, from the dial to its end.
func (a *Agent) session(ctx context.Context) error {
	link, err := a.dial(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = link.Close() })
	defer stop()
	if err := a.greet(ctx, link); err != nil {
		return errors.Join(err, link.Close())
	}
	a.logger.Info("linked to the control plane", "url", a.config.ServerURL)
	a.links.Set(link)
	defer a.links.Set(nil)
	var senders sync.WaitGroup
	defer senders.Wait()
	defer cancel()
	senders.Go(func() { a.sendObserved(ctx, link) })
	senders.Go(func() { a.sendHeartbeats(ctx, link) })
	senders.Go(func() { a.acceptStreams(ctx, link) })
	return a.receive(link)
}

func (a *Agent) dial(ctx context.Context) (*protocol.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	token, err := a.config.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("get token: %w", err)
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	url := strings.TrimSuffix(a.config.ServerURL, "/") + protocol.LinkPath
	link, err := protocol.Dial(ctx, a.config.HTTPClient, url, header)
	return link, wrap("link to "+url, err)
}

// greet introduces the agent and hears whether it is welcome.
func (a *Agent) greet(ctx context.Context, link *protocol.Link) error {
	late := time.AfterFunc(dialLimit, func() { _ = link.Close() })
	defer late.Stop()
	hello := a.hello(ctx)
	if err := link.Send(protocol.Message{Hello: &hello}); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	message, err := link.Receive()
	if err != nil {
		return fmt.Errorf("receive welcome: %w", err)
	}
	if message.Welcome == nil {
		return errors.New("receive welcome: the control plane began with another message")
	}
	if message.Welcome.Refused != "" {
		return fmt.Errorf("refused: %s", message.Welcome.Refused)
	}
	return nil
}

func (a *Agent) hello(ctx context.Context) protocol.Hello {
	hello := protocol.Hello{
		Version: protocol.Version, AgentVersion: a.config.Version, CPUs: runtime.NumCPU(), Generation: a.generation(), Peer: a.config.PeerAddr,
		Builds: a.config.Builder.Places,
	}
	if a.config.Listener != nil {
		hello.Ingress = a.config.Listener.Addr().String()
	}
	hello.Hostname, _ = os.Hostname()
	hello.MemoryBytes = readMemory().total
	hello.EngineVersion, _ = a.engine.Version(ctx)
	return hello
}

// receive takes Assignments until the link ends.
func (a *Agent) receive(link *protocol.Link) error {
	for {
		message, err := link.Receive()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if message.Assignment == nil {
			continue
		}
		if err := a.accept(*message.Assignment); err != nil {
			return err // the next link brings it again
		}
	}
}

// sendObserved sends the whole view at once and after each change; changes
// that come while one is sent are one.
func (a *Agent) sendObserved(ctx context.Context, link *protocol.Link) {
	for {
		observed := a.board.Snapshot()
		observed.At = time.Now().UTC()
		if err := link.Send(protocol.Message{Observed: &observed}); err != nil {
			return
		}
		a.board.Said(observed)
		select {
		case <-ctx.Done():
			return
		case <-a.board.changed:
		}
	}
}

func (a *Agent) sendHeartbeats(ctx context.Context, link *protocol.Link) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	usage, traffic := newUsage(a.config.DataDir), traffic{ingress: a.ingress}
	for {
		beat := usage.Beat(a.board.Running())
		beat.Loads = usage.Loads(ctx, a.engine, a.board.Snapshot().Instances)
		beat.Traffic = traffic.News()
		if err := link.Send(protocol.Message{Heartbeat: &beat}); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
