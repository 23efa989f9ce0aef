package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// Fleet is what a rollout needs of the nodes.
type Fleet interface {
	Announcer
	// Wait blocks until condition holds for what the agents observe, condition
	// fails, or ctx ends.
	Wait(ctx context.Context, condition func(View) (bool, error)) error
}

// View is what the agents observed last.
type View interface {
	Instance(id models.ID) (protocol.InstanceStatus, bool)
	// Generation is the Assignment whose routes are in force on the node.
	Generation(node models.ID) uint64
	Online(node models.ID) bool
	// Trouble is what keeps the node's agent from its work, or "".
	Trouble(node models.ID) string
}

// Store makes a Change durable, in one transaction, together with a new
// generation for every node that it concerns. It returns those generations.
type Store interface {
	Instances(ctx context.Context, app models.ID) ([]models.Instance, error)
	// Await blocks, for a while, as long as no Node is online that may get the App's
	// Instances, and one may come.
	Await(ctx context.Context, app models.ID) error
	// Offer says where the App's new Instances may be.
	Offer(ctx context.Context, app models.ID) (Offer, error)
	// Apply is ErrRoomTaken when what is added does not fit where it was placed.
	Apply(ctx context.Context, change Change) (map[models.ID]uint64, error)
}

// ErrRoomTaken says that somebody took the room that a plan counted on. Another
// plan finds other room, or says why there is none.
var ErrRoomTaken = errors.New("the room was taken meanwhile")

// Log receives the rollout's story. It may be called from two goroutines.
type Log interface {
	Say(format string, args ...any)
	Detail(text string)
}

// Roller carries out plans. It may be used from many goroutines, for different
// Apps: one App has one rollout at a time.
type Roller struct {
	Store Store
	Fleet Fleet
	// Probe asks the App's public route without pause; nil probes nothing.
	Probe func(app models.App) *Probe
	// Patience bounds the wait for new Instances, from assigned to healthy.
	Patience time.Duration
	// LostAfter is how long a command that runs once is waited for while its Node
	// is offline; nil is for as long as it may take.
	LostAfter func(ctx context.Context) time.Duration

	// placing is held from a plan until its Instances have their room: plans of this
	// process never count on the same.
	placing sync.Mutex
}

// Outcome is what a rollout achieved.
type Outcome struct {
	Healthy int // Instances that serve now
	Proof   Proof
	Took    time.Duration
}

// Roll makes the App run what is wanted and blocks until the routes lead there.
// On an error nothing has changed: models.Failed carries the reason of the
// Instance that did not become healthy, whose last lines went to log. When ctx
// ends, the rollout stays where it is; Roll with the same Want continues it.
func (r *Roller) Roll(ctx context.Context, want Want, log Log) (Outcome, error) {
	started := time.Now()
	plan, probe, err := r.bringUp(ctx, want, log)
	defer probe.Stop()
	if err != nil {
		return Outcome{}, err
	}
	probe.Watch()
	if err := r.cutOver(ctx, want, plan); err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{Healthy: len(plan.Start) + len(plan.Adopt), Took: time.Since(started)}
	r.settle(ctx, plan)
	outcome.Proof = probe.Stop()
	return outcome, nil
}

// maxMoves bounds how often Instances start elsewhere because the Node that they
// were to start on went offline.
const maxMoves = 3

// bringUp plans, and has the new Instances start until all are healthy.
func (r *Roller) bringUp(ctx context.Context, want Want, log Log) (Plan, *Probe, error) {
	var probe *Probe
	for move := 0; ; move++ {
		plan, err := r.place(ctx, want)
		if err != nil {
			return Plan{}, probe, err
		}
		if probe == nil {
			probe = r.beginProof(ctx, want, plan)
		}
		if err = r.start(ctx, want, plan, log); !errors.Is(err, errNodeGone) || move == maxMoves {
			return plan, probe, err
		}
		log.Say("         › %s: starting elsewhere", err)
	}
}

// maxPlans bounds how often a plan is made anew because others took its room.
// Each time somebody else got on.
const maxPlans = 32

// place makes a plan and gives its new Instances their room.
func (r *Roller) place(ctx context.Context, want Want) (Plan, error) {
	plan := Plan{}
	err := r.room(ctx, want.App.ID, func(offer Offer) (err error) {
		if plan, err = r.planOn(ctx, want, offer); err != nil || len(plan.Start) == 0 {
			return err
		}
		if _, err = r.apply(ctx, Change{App: want.App.ID, Add: plan.Start}); err != nil {
			return fmt.Errorf("assign new instances: %w", err)
		}
		return nil
	})
	return plan, err
}

// room has take find room in what is offered, again while others are quicker.
func (r *Roller) room(ctx context.Context, app models.ID, take func(Offer) error) error {
	if err := r.Store.Await(ctx, app); err != nil {
		return err
	}
	r.placing.Lock()
	defer r.placing.Unlock()
	for attempt := 1; ; attempt++ {
		offer, err := r.Store.Offer(ctx, app)
		if err != nil {
			return err
		}
		if err = take(offer); !errors.Is(err, ErrRoomTaken) || attempt == maxPlans {
			return err
		}
	}
}

func (r *Roller) planOn(ctx context.Context, want Want, offer Offer) (Plan, error) {
	current, err := r.Store.Instances(ctx, want.App.ID)
	if err != nil {
		return Plan{}, err
	}
	if want.Failed, err = r.failed(ctx, current); err != nil {
		return Plan{}, err
	}
	return NewPlan(want, current, offer)
}

// failed picks the Instances that their agents gave up.
func (r *Roller) failed(ctx context.Context, current []models.Instance) (map[models.ID]bool, error) {
	failed := map[models.ID]bool{}
	err := r.Fleet.Wait(ctx, func(view View) (bool, error) {
		for _, instance := range current {
			status, _ := view.Instance(instance.ID)
			failed[instance.ID] = status.State == string(models.InstanceFailed)
		}
		return true, nil
	})
	return failed, err
}

// beginProof probes the public route if it serves now and shall go on serving.
func (r *Roller) beginProof(ctx context.Context, want Want, plan Plan) *Probe {
	isWeb := func(instance models.Instance) bool { return instance.Process == models.WebProcess }
	serves := want.App.LiveReleaseID != nil && !want.App.Stopped && slices.ContainsFunc(plan.Stop, isWeb)
	if r.Probe == nil || !serves || want.Formation[models.WebProcess] == 0 {
		return nil
	}
	probe := r.Probe(want.App)
	if probe != nil {
		probe.Start(ctx)
	}
	return probe
}

// start waits until all the plan's Instances are healthy; if one fails, all of
// them go.
func (r *Roller) start(ctx context.Context, want Want, plan Plan, log Log) error {
	fresh := slices.Concat(plan.Start, plan.Adopt)
	hint := time.AfterFunc(hintAfter, func() { r.hint(ctx, fresh, log) })
	defer hint.Stop()
	err := r.healthy(ctx, plan, want.live())
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.tail(ctx, fresh, log)
	remove := plan.Start
	if !want.live() && !errors.Is(err, errNodeGone) {
		remove = fresh // what an interrupted attempt had started goes too
	}
	if _, undo := r.apply(ctx, Change{App: want.App.ID, Remove: remove}); undo != nil {
		return fmt.Errorf("undo the rollout: %w (it failed because %w)", undo, err)
	}
	return err
}

// hintAfter is when a pusher who waits for new Instances is told what for.
const hintAfter = 10 * time.Second

// hint says what the first Instance that is not healthy yet waits for.
func (r *Roller) hint(ctx context.Context, instances []models.Instance, log Log) {
	waiting := ""
	_ = r.Fleet.Wait(ctx, func(view View) (bool, error) {
		for _, instance := range instances {
			status, _ := view.Instance(instance.ID)
			if status.State != string(models.InstanceHealthy) && waiting == "" {
				waiting = blocker(view, instance, status)
			}
		}
		return true, nil
	})
	if waiting != "" {
		log.Say("         › still waiting: %s", waiting)
	}
}

// errNodeGone says that a Node went offline on which Instances were to start.
var errNodeGone = errors.New("offline")

// healthy waits for all of the plan's Instances. Without news within Patience it
// gives up. Those that serve already, of a Release that is live, are not waited for
// while their Node is offline.
func (r *Roller) healthy(ctx context.Context, plan Plan, live bool) error {
	limited, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	waiting := ""
	err := r.Fleet.Wait(limited, func(view View) (bool, error) {
		waiting = ""
		for _, instance := range plan.Adopt {
			if live && !view.Online(instance.NodeID) {
				continue
			}
			if err := stillStarting(view, instance, &waiting); err != nil {
				return false, err
			}
		}
		for _, instance := range plan.Start {
			if !view.Online(instance.NodeID) {
				return false, gone(instance)
			}
			if err := stillStarting(view, instance, &waiting); err != nil {
				return false, err
			}
		}
		return waiting == "", nil
	})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return models.Errorf(models.Unavailable, "gave up after %s: %s", r.Patience, waiting)
	}
	return err
}

// stillStarting notes what is waited for, and returns the failure of an Instance
// that will never be healthy.
func stillStarting(view View, instance models.Instance, waiting *string) error {
	status, known := view.Instance(instance.ID)
	switch {
	case known && status.State == string(models.InstanceFailed):
		return failure(instance, status)
	case !known || status.State != string(models.InstanceHealthy):
		*waiting = blocker(view, instance, status)
	}
	return nil
}

// blocker says what an Instance that is not healthy waits for.
func blocker(view View, instance models.Instance, status protocol.InstanceStatus) string {
	name := fmt.Sprintf("%s.%d", instance.Process, instance.Ordinal)
	switch {
	case !view.Online(instance.NodeID):
		return "the node of " + name + " is offline"
	case view.Trouble(instance.NodeID) != "":
		return view.Trouble(instance.NodeID)
	case status.Reason != "":
		return name + " " + status.Reason
	default:
		return name + " is not healthy yet"
	}
}

func gone(instance models.Instance) error {
	return models.Errorf(models.Unavailable, "the node of %s.%d went %w", instance.Process, instance.Ordinal, errNodeGone)
}

func failure(instance models.Instance, status protocol.InstanceStatus) error {
	return models.Errorf(models.Failed, "%s.%d %s", instance.Process, instance.Ordinal, status.Reason)
}

// tail shows the last lines of the first Instance that failed.
func (r *Roller) tail(ctx context.Context, instances []models.Instance, log Log) {
	_ = r.Fleet.Wait(ctx, func(view View) (bool, error) {
		for _, instance := range instances {
			status, _ := view.Instance(instance.ID)
			if status.State != string(models.InstanceFailed) || len(status.Tail) == 0 {
				continue
			}
			log.Say("")
			for _, line := range status.Tail {
				log.Say("   %s", line)
			}
			break
		}
		return true, nil
	})
}

// cutOver leads the routes to the new Release, lets the old Instances go, and
// waits until every node that routes has done so.
func (r *Roller) cutOver(ctx context.Context, want Want, plan Plan) error {
	generations, err := r.apply(ctx, Change{App: want.App.ID, Remove: plan.Stop, Live: &want.Release.ID, Running: true})
	if err != nil {
		return fmt.Errorf("switch to the new release: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	err = r.Fleet.Wait(limited, func(view View) (bool, error) {
		for node, generation := range generations {
			if view.Online(node) && view.Generation(node) < generation {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil && ctx.Err() == nil {
		return models.Errorf(models.Unavailable, "the ingress did not confirm the switch: %w", err)
	}
	return err
}

// settle watches the old Instances go for a moment, so that the proof covers
// their drain; long-lived connections may take longer, and nobody waits for
// them.
func (r *Roller) settle(ctx context.Context, plan Plan) {
	const moment = 3 * time.Second
	limited, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	_ = r.Fleet.Wait(limited, func(view View) (bool, error) {
		for _, instance := range plan.Stop {
			status, known := view.Instance(instance.ID)
			gone := !known || status.State == string(models.InstanceStopped) || status.State == string(models.InstanceFailed)
			if !gone && view.Online(instance.NodeID) {
				return false, nil
			}
		}
		return true, nil
	})
}

func (r *Roller) apply(ctx context.Context, change Change) (map[models.ID]uint64, error) {
	generations, err := r.Store.Apply(ctx, change)
	if err != nil {
		return nil, err
	}
	change.Announce(r.Fleet, generations)
	return generations, nil
}
