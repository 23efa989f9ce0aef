package gitserver

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/outgoing"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/gitserver/refs"
	"github.com/skypanel/sky/models"
)

const uploadCapabilities = "multi_ack_detailed side-band-64k thin-pack ofs-delta shallow no-progress include-tag object-format=sha1 " + agent

// upload is one git-upload-pack session: a clone or a fetch.
func (d *Door) upload(ctx context.Context, x *exchange) error {
	u, err := d.newUploading(ctx, x)
	if err != nil {
		return err
	}
	defer u.db.Close()
	err = u.converse(ctx)
	if coded := models.AsError(err); coded != nil {
		_, _ = x.out.Write(pktline.Append(nil, "ERR %s\n", oneLine(coded.Message)))
	}
	return err
}

// uploading is a fetch under way.
type uploading struct {
	*Door
	*exchange
	limits  Limits
	ctx     context.Context // the conversation's
	db      *objectdb.DB
	refs    []refs.Ref // public ones, by name
	tips    map[object.ID]bool
	packets *pktline.Reader
	answer  []byte // said and not yet delivered
}

func (d *Door) newUploading(ctx context.Context, x *exchange) (*uploading, error) {
	all, err := d.Repositories.allRefs(x.app.ID)
	if err != nil {
		return nil, err
	}
	// After the refs, so that what they lead to is in it.
	db, err := d.Repositories.objects(x.app.ID)
	if err != nil {
		return nil, err
	}
	u := &uploading{ctx: ctx, Door: d, exchange: x, limits: d.Limits.withDefaults(), db: db, tips: map[object.ID]bool{}}
	if x.in != nil {
		u.packets = pktline.NewReader(x.in)
	}
	for _, ref := range all {
		if !hidden(ref.Name) {
			u.refs = append(u.refs, ref)
			u.tips[ref.ID] = true
		}
	}
	return u, nil
}

func (u *uploading) converse(ctx context.Context) error {
	if u.version() == 2 {
		return u.converseV2(ctx)
	}
	if !u.stateless || u.advertise {
		if err := u.advertiseUpload(); err != nil || u.advertise {
			return err
		}
	}
	request, err := u.readWants()
	if err != nil || len(request.wants) == 0 {
		return err
	}
	plan, err := u.planDepth(request)
	if err != nil {
		return err
	}
	if request.deepens {
		u.answer = pktline.AppendFlush(plan.lines())
		if !u.stateless { // else it is the beginning of the answer to the haves
			if err := u.deliver(); err != nil {
				return err
			}
		}
	}
	if done, err := u.readHaves(request); err != nil || !done {
		return err
	}
	return u.sendPack(ctx, request, plan)
}

// head is the branch that deploys, which HEAD leads to once it exists.
func (u *uploading) head() (refs.Ref, bool) {
	for _, ref := range u.refs {
		if ref.Name == branchPrefix+u.app.DeployBranch {
			return ref, true
		}
	}
	return refs.Ref{}, false
}

func (u *uploading) advertiseUpload() error {
	capabilities := uploadCapabilities
	head, ok := u.head()
	if ok {
		capabilities += " symref=HEAD:" + head.Name
	}
	list := newAdvertisement(u.exchange, capabilities)
	if ok {
		list.add(head.ID, "HEAD")
	}
	for _, ref := range u.refs {
		list.add(ref.ID, ref.Name)
		if peeled, ok := u.peel(ref.ID); ok {
			list.add(peeled, ref.Name+"^{}")
		}
	}
	return list.send(u.exchange)
}

// peel returns what an annotated tag leads to in the end.
func (u *uploading) peel(id object.ID) (target object.ID, tag bool) {
	target = id
	for range maxTags {
		kind, _, err := u.db.Stat(target)
		if err != nil || kind != object.Tag {
			break
		}
		_, data, err := u.db.Read(target)
		if err != nil {
			break
		}
		if target, _, err = object.TagTarget(data); err != nil {
			break
		}
	}
	return target, target != id
}

// sendPack selects and sends what the client lacks, with keep-alives while that
// is being found out.
func (u *uploading) sendPack(ctx context.Context, request *fetchRequest, plan *depthPlan) error {
	mux := pktline.NewMux(u.out, !request.sideBand)
	alive := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { mux.KeepAlive(u.keepAlive(), alive) })
	err := u.writePack(ctx, mux.Writer(pktline.Pack), request, plan)
	close(alive)
	beating.Wait()
	if err != nil {
		_ = mux.Send(pktline.Fatal, []byte("the pack could not be made\n"))
		return err
	}
	return mux.Flush()
}

func (u *uploading) writePack(ctx context.Context, w io.Writer, request *fetchRequest, plan *depthPlan) error {
	ids, err := outgoing.Select(ctx, u.db, outgoing.Query{
		Wants: append(request.wants, plan.deeper...), Haves: request.commonCommits(),
		Grafts: plan.grafts, ClientGrafts: request.shallow,
	})
	if err != nil {
		return fmt.Errorf("select objects: %w", err)
	}
	if request.includeTag {
		ids = u.withTags(ids)
	}
	if err := outgoing.Write(ctx, w, u.db, ids, request.ofsDelta); err != nil {
		return fmt.Errorf("send pack: %w", err)
	}
	return nil
}

// withTags adds the annotated tags of what is sent.
func (u *uploading) withTags(ids []object.ID) []object.ID {
	sent := make(map[object.ID]bool, len(ids))
	for _, id := range ids {
		sent[id] = true
	}
	for _, ref := range u.refs {
		if target, tag := u.peel(ref.ID); tag && sent[target] && !sent[ref.ID] {
			sent[ref.ID] = true
			ids = append(ids, ref.ID)
		}
	}
	return ids
}
