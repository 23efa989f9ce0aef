package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// receive is one git-receive-pack session: the story of a push until the
// Receiver takes over, and the report at its end.
func (d *Door) receive(ctx context.Context, x *exchange) error {
	defer d.Repositories.pushing(x.app.ID)()
	if !x.stateless || x.advertise {
		if err := d.advertiseReceive(x); err != nil || x.advertise {
			return err
		}
	}
	limits := d.Limits.withDefaults()
	request, err := readPush(pktline.NewReader(newPacedReader(x.in, limits.MinRate)), limits)
	if err != nil {
		_, _ = x.out.Write(pktline.Append(nil, "ERR %s\n", oneLine(err.Error())))
		return fmt.Errorf("read commands: %w", err)
	}
	if len(request.updates) == 0 {
		return nil // everything is up to date
	}
	return newReceiving(d, x, request).run(ctx)
}

// receiving is a push under way.
type receiving struct {
	*Door
	*exchange
	limits  Limits
	request *pushRequest
	mux     *pktline.Mux
	alive   chan struct{} // closed to end the keep-alive
	beating sync.WaitGroup
}

func newReceiving(d *Door, x *exchange, request *pushRequest) *receiving {
	return &receiving{
		Door: d, exchange: x, request: request, limits: d.Limits.withDefaults(),
		mux: pktline.NewMux(x.out, !request.has("side-band-64k")), alive: make(chan struct{}),
	}
}

// run answers the request. The unpack status is one for the whole push, the
// verdicts are one for each update.
func (p *receiving) run(ctx context.Context) error {
	if !p.stateless {
		p.startKeepAlive()
	}
	unpack := p.process(ctx)
	p.stopKeepAlive()
	return p.report(unpack)
}

// process decides every update. The error it returns is about the pack; it is
// safe to show.
func (p *receiving) process(ctx context.Context) error {
	p.judgeNames()
	quarantine, err := p.Repositories.quarantine(p.app.ID)
	if err != nil {
		return p.conceal(err)
	}
	defer quarantine.discard(p.Log)
	pack, err := p.takePack(ctx, quarantine)
	if err != nil {
		p.drain()
		return p.conceal(err)
	}
	if p.stateless {
		p.startKeepAlive()
	}
	if err := p.judgeObjects(quarantine, pack); err != nil {
		return p.conceal(err)
	}
	if p.request.atomic() && p.request.refused() {
		p.refuseAll(errAtomic)
	}
	if p.request.settled() {
		return nil
	}
	if err := p.recheck(ctx); err != nil {
		p.refuseAll(err)
		return nil
	}
	if err := p.adopt(quarantine, pack); err != nil {
		p.refuseAll(err)
		return nil
	}
	p.Receiver.Receive(ctx, p.push())
	return nil
}

// adopt stores the pack, unless all that is left to do is to delete refs: a pack
// whose every ref was refused may lack what it links to.
func (p *receiving) adopt(quarantine *quarantine, pack *packfile.Pack) error {
	wanted := func(update *models.RefUpdate) bool { return update.Err == nil && !update.Delete() }
	if !slices.ContainsFunc(p.request.updates, wanted) {
		return nil
	}
	defer p.Repositories.lock(p.app.ID)()
	return quarantine.adopt(pack)
}

// takePack reads the pack, if one follows, and verifies it in quarantine. It
// returns nil when the push brings no object.
func (p *receiving) takePack(ctx context.Context, quarantine *quarantine) (*packfile.Pack, error) {
	var pack *packfile.Pack
	if p.request.needsPack() {
		db, err := p.Repositories.objects(p.app.ID)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		indexer := packfile.Indexer{Dir: quarantine.packDir(), Store: db, Limits: p.limits.Pack, Shallow: p.request.shallow}
		if !p.stateless && !p.request.has("quiet") {
			indexer.Progress = p.progress()
		}
		if pack, err = indexer.Index(ctx, newPacedReader(p.in, p.limits.MinRate)); err != nil {
			return nil, err
		}
	}
	if p.stateless {
		if n, err := io.CopyN(io.Discard, p.in, 1); n != 0 || !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: data after the pack", packfile.ErrCorrupt)
		}
	}
	return pack, nil
}

// progress tells the pusher how far the deltas of a large push are.
func (p *receiving) progress() func(done, total int) {
	var mu sync.Mutex
	shown := -1
	return func(done, total int) {
		percent := 100 * done / total
		mu.Lock()
		defer mu.Unlock()
		if percent > shown {
			shown = percent
			_ = p.mux.Send(pktline.Progress, fmt.Appendf(nil, "Resolving objects: %3d%% (%d/%d)\r", percent, done, total))
		}
	}
}

func (p *receiving) push() *models.Push {
	return &models.Push{
		App: p.app, Actor: p.actor, Updates: p.request.updates, Options: p.request.options,
		Atomic: p.request.atomic(), Out: p.mux.Writer(pktline.Progress),
	}
}

func (p *receiving) startKeepAlive() {
	p.beating.Go(func() { p.mux.KeepAlive(p.keepAlive(), p.alive) })
}

func (p *receiving) stopKeepAlive() {
	close(p.alive)
	p.beating.Wait()
}

// drainTime bounds how long a refused client may take to finish sending.
const drainTime = 3 * time.Second

// drain reads on after a refusal: a client that is still sending would lose the
// report to a broken pipe. The read may outlast drain when the client stalls;
// it ends with the channel.
func (p *receiving) drain() {
	if p.stateless { // the body must not be read after the handler returned
		_, _ = io.CopyN(io.Discard, newPacedReader(p.in, p.limits.MinRate), p.limits.DrainBytes)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.CopyN(io.Discard, p.in, p.limits.DrainBytes)
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
