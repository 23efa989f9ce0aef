package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/logs"
)

// Receive decides a push. Every ref but the deploy branch is stored at once. A
// push to the deploy branch becomes a Build in the App's lane; its log is shown
// until it ends or the pusher leaves, and the ref moves when, and only when, the
// new Release serves.
func (p *Platform) Receive(ctx context.Context, push *models.Push) {
	options := readOptions(push.Options)
	if err := p.adoptBranch(ctx, push, options); err != nil {
		refuse(push.Updates, err)
		return
	}
	deploy, others := split(push)
	if deploy == nil {
		p.storeRefs(ctx, push, others)
		return
	}
	if options.noDeploy {
		refuse(push.Updates, models.Errorf(models.Conflict, "%s is what is live, so it moves only with a deploy; to store commits, push another branch", push.App.DeployBranch))
		return
	}
	carried := []*models.RefUpdate{deploy}
	if push.Atomic {
		carried = push.Updates
	} else {
		p.storeRefs(ctx, push, others)
	}
	err := p.pushToDeploy(ctx, push, deploy, carried, options)
	refuse(carried, err)
}

// refuse leaves err with every update that has no verdict yet; nil refuses
// nothing.
func refuse(updates []*models.RefUpdate, err error) {
	if err == nil {
		return
	}
	for _, update := range updates {
		if update.Err == nil {
			update.Err = err
		}
	}
}

type pushOptions struct {
	noDeploy   bool
	clearCache bool
	branch     string
}

// readOptions reads what `git push -o` sent. Options that Sky does not know are
// ignored, as git's other servers do.
func readOptions(sent []string) pushOptions {
	options := pushOptions{}
	for _, option := range sent {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "no-deploy":
			options.noDeploy = true
		case "clear-cache":
			options.clearCache = true
		case "branch":
			options.branch = value
		}
	}
	return options
}

// Deploy builds a commit that the App's repository holds already and rolls it
// out, as a push of it to the deploy branch would. ref is a branch, a tag or a
// whole commit name; an empty one is the deploy branch. It returns as soon as the
// Build is durable; its log tells the rest.
func (p *Platform) Deploy(ctx context.Context, actor models.Actor, app models.App, ref string) (models.Build, error) {
	commit, err := p.findCommit(ctx, app, ref)
	if err != nil {
		return models.Build{}, err
	}
	branch := branchPrefix + app.DeployBranch
	current, err := p.Repositories.Ref(ctx, app.ID, branch)
	if err != nil {
		return models.Build{}, fmt.Errorf("read %s: %w", branch, err)
	}
	build, w, err := p.running(ctx, app, commit)
	if err != nil || w != nil {
		return build, err
	}
	update := &models.RefUpdate{Name: branch, Old: current, New: commit}
	push := &models.Push{App: app, Actor: actor, Updates: []*models.RefUpdate{update}, Out: io.Discard}
	build, _, err = p.submit(ctx, push, update, push.Updates, pushOptions{})
	return build, err
}

// findCommit returns the commit that ref names in the App's repository.
func (p *Platform) findCommit(ctx context.Context, app models.App, ref string) (string, error) {
	if ref == "" {
		ref = app.DeployBranch
	}
	missing := models.Errorf(models.NotFound, "%s has no branch, tag or commit %q", app.Name, narrative.Clean(ref)).WithField("ref").
		WithRemedy("push it first: git push sky BRANCH")
	if commitPattern.MatchString(ref) {
		_, err := p.Repositories.Commit(ctx, app.ID, ref)
		if models.IsCode(err, models.NotFound) {
			return "", missing
		}
		return ref, err
	}
	if models.CheckBranch(ref) != nil {
		return "", missing
	}
	for _, prefix := range []string{branchPrefix, "refs/tags/"} {
		oid, err := p.Repositories.Ref(ctx, app.ID, prefix+ref)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", prefix+ref, err)
		}
		if oid != models.ZeroObject && oid != "" {
			return oid, nil
		}
	}
	return "", missing
}

// commitPattern is a commit's whole name, in SHA-1 or SHA-256.
var commitPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

const branchPrefix = "refs/heads/"

// adoptBranch changes the deploy branch when the pusher asks for it, or when the
// very first push of an App brings "master" and no "main".
func (p *Platform) adoptBranch(ctx context.Context, push *models.Push, options pushOptions) error {
	branch := options.branch
	if branch == "" && push.App.LiveReleaseID == nil && push.App.DeployBranch == "main" && pushes(push, "master") && !pushes(push, "main") {
		branch = "master"
	}
	if branch == "" || branch == push.App.DeployBranch {
		return nil
	}
	app, err := p.ChangeApp(ctx, push.Actor, push.App.Name, "", AppSettings{DeployBranch: &branch})
	if err != nil {
		return err
	}
	push.App = app
	say(push.Out, narrative.Field("Branch", branch+" is the branch that deploys from now on"))
	return nil
}

func pushes(push *models.Push, branch string) bool {
	for _, update := range push.Updates {
		if update.Name == branchPrefix+branch && !update.Delete() {
			return true
		}
	}
	return false
}

// split finds the update that deploys.
func split(push *models.Push) (deploy *models.RefUpdate, others []*models.RefUpdate) {
	for _, update := range push.Updates {
		if update.Name == branchPrefix+push.App.DeployBranch && update.Err == nil && !update.Delete() {
			deploy = update
			continue
		}
		others = append(others, update)
	}
	return deploy, others
}

// storeRefs moves refs that deploy nothing, and says which branch does.
func (p *Platform) storeRefs(ctx context.Context, push *models.Push, updates []*models.RefUpdate) {
	if len(updates) == 0 {
		return
	}
	if err := p.Repositories.UpdateRefs(ctx, push.App.ID, updates, push.Atomic); err != nil {
		refuse(updates, fmt.Errorf("move refs: %w", err))
		return
	}
	for _, update := range updates {
		branch, isBranch := strings.CutPrefix(update.Name, branchPrefix)
		if update.Err != nil || update.Delete() || !isBranch {
			continue
		}
		say(push.Out, narrative.Field("Stored", fmt.Sprintf("%s, not deployed: only %s deploys. To deploy it: git push sky %s:%s",
			narrative.Clean(branch), push.App.DeployBranch, narrative.Clean(branch), push.App.DeployBranch)))
	}
}

// say writes one line to a pusher; one that has gone does not matter.
func say(out io.Writer, line string) { _, _ = io.WriteString(out, line+"\n") }

// pushToDeploy submits the commit, or joins the build that is on it already, and
// shows the log until it ends.
func (p *Platform) pushToDeploy(ctx context.Context, push *models.Push, deploy *models.RefUpdate, carried []*models.RefUpdate, options pushOptions) error {
	build, w, err := p.running(ctx, push.App, deploy.New)
	if err != nil {
		return err
	}
	if w == nil {
		if build, w, err = p.submit(ctx, push, deploy, carried, options); err != nil {
			return err
		}
	}
	return p.watch(ctx, build, w, push.Out)
}

// running finds a build of the same commit that waits or runs.
func (p *Platform) running(ctx context.Context, app models.App, commit string) (models.Build, *work, error) {
	var found models.Build
	var failure error
	w := p.lanes.find(app.ID, func(id models.ID) bool {
		build, err := p.Store.Build(ctx, id)
		if err != nil {
			failure = err
			return false
		}
		found = build
		return build.Commit == commit
	})
	return found, w, failure
}

// submit makes the commit a Build and puts it into the App's lane. From here on
// it is durable: it goes on without the pusher, and after a crash.
func (p *Platform) submit(ctx context.Context, push *models.Push, deploy *models.RefUpdate, carried []*models.RefUpdate, options pushOptions) (models.Build, *work, error) {
	commit, err := p.Repositories.Commit(ctx, push.App.ID, deploy.New)
	if err != nil {
		return models.Build{}, nil, fmt.Errorf("read the pushed commit: %w", err)
	}
	build := models.Build{Ref: deploy.Name, Commit: deploy.New, Subject: narrative.Clean(commit.Subject), ClearCache: options.clearCache}
	for _, update := range carried {
		build.Updates = append(build.Updates, *update)
	}
	return p.lineUp(ctx, order{push.Actor, push.App, build, fact{kind: "push", detail: short(build.Commit), app: &push.App}, nil})
}

// order is what somebody wants to deploy.
type order struct {
	actor models.Actor
	app   models.App
	build models.Build
	what  fact
	// beside, where there is one, is done in the transaction that makes the Build.
	beside func(tx *store.Store, build models.Build) error
}

// lineUp stores an order as a Build and puts it into the App's lane, unless the
// App may not run or the disk is almost full.
func (p *Platform) lineUp(ctx context.Context, o order) (models.Build, *work, error) {
	if err := errors.Join(p.checkDisk(), p.checkRuns(ctx, o.app)); err != nil {
		return models.Build{}, nil, err
	}
	build := o.build
	build.ID, build.AppID, build.State, build.CreatedAt = models.NewID(), o.app.ID, models.BuildQueued, now()
	build.ActorID, build.Via, build.TokenID = o.actor.UserID, o.actor.Via, o.actor.TokenID
	err := p.commit(ctx, o.actor, o.what, func(tx *store.Store) error {
		if err := tx.CreateBuild(ctx, &build); err != nil || o.beside == nil {
			return err
		}
		return o.beside(tx, build)
	})
	if err != nil {
		return models.Build{}, nil, err
	}
	if build.Commit != "" {
		if err := p.Repositories.Keep(ctx, build.AppID, keepName(build), build.Commit); err != nil {
			return models.Build{}, nil, fmt.Errorf("keep the pushed commit: %w", err)
		}
	}
	return build, p.enqueue(build), nil
}

func keepName(build models.Build) string { return fmt.Sprintf("build-%d", build.Number) }

func short(commit string) string { return commit[:min(7, len(commit))] }

// enqueue puts a Build into its App's lane. Builds that waited there are told
// that they will not be.
func (p *Platform) enqueue(build models.Build) *work {
	log := p.buildLog(build)
	w := &work{build: &build.ID}
	w.run = func(ctx context.Context) error { return p.deploy(ctx, build) }
	displaced, busy := p.lanes.enter(build.AppID, w)
	if busy {
		log.Say("%s", narrative.Field("Queue", "waiting for the deployment before this one"))
	}
	for _, other := range displaced {
		p.supersede(*other.build, build)
	}
	return w
}

// supersede ends a Build that never began, because a newer one came.
func (p *Platform) supersede(id models.ID, newer models.Build) {
	build, err := p.Store.Build(p.ctx, id)
	if err != nil {
		p.Log.Error("supersede build", "error", err)
		return
	}
	p.finishBuild(build, models.BuildCancelled, fmt.Errorf("%w (build #%d)", errSuperseded, newer.Number))
}

// watch shows a Build's log to out until the build ends, and returns its
// verdict. When the pusher leaves, the build goes on.
func (p *Platform) watch(ctx context.Context, build models.Build, w *work, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)() // a pusher must not hold up Sky's end
	say(out, "")
	err := p.Logs.Read(ctx, buildStream(build.ID), 0, true, func(entry logs.Entry) error {
		if entry.Kind != logs.Say {
			return nil
		}
		_, err := io.WriteString(out, entry.Text+"\n")
		return err
	})
	select {
	case <-w.done:
		say(out, "")
		return p.verdict(build, w.err)
	default:
	}
	if err == nil { // the log has ended: the work is about to
		select {
		case <-w.done:
			say(out, "")
			return p.verdict(build, w.err)
		case <-ctx.Done():
		}
	}
	return p.verdict(build, errStopping)
}

// verdict is what the pusher reads in the ref's status line.
func (p *Platform) verdict(build models.Build, err error) error {
	switch {
	case err == nil:
		return nil
	case p.stopping(err):
		return models.Errorf(models.Unavailable, "sky is restarting; build #%d goes on when it is back: sky builds attach %d", build.Number, build.Number)
	case errors.Is(err, errSuperseded):
		return models.Errorf(models.Conflict, "superseded by a newer push")
	case errors.Is(err, errCancelled):
		return models.Errorf(models.Cancelled, "build #%d was cancelled", build.Number)
	default:
		return err
	}
}
