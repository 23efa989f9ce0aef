package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// DeliveryState is how far a delivery has come.
type DeliveryState string

// The states of a delivery.
const (
	Held     DeliveryState = "held"     // kept back until Release
	Lost     DeliveryState = "lost"     // never sent, as Lose ordered
	Sending  DeliveryState = "sending"  // on its way
	Answered DeliveryState = "answered" // the receiver answered, whatever it said
	Failed   DeliveryState = "failed"   // the receiver could not be reached
)

// Delivery is one event for one hook.
type Delivery struct {
	ID                  int64
	GUID, Event, Action string
	Repo                string // its full name at the time; empty is none
	HookID              int64
	URL                 string
	Header              http.Header // of the last attempt
	Payload             []byte      // the JSON, also where it is sent as a form
	State               DeliveryState
	Statuses            []int  // what the receiver answered to each copy
	Error               string // why the last copy failed
	Redelivery          bool

	hook   *hook
	copies int
}

// deliveryFaults are what goes wrong with deliveries that are yet to come.
type deliveryFaults struct {
	lose, repeat ordered
	copies       int
	hold         *ordered
}

// ordered is a fault for the next n deliveries of some events; n < 0 is all.
type ordered struct {
	n      int
	events []string // none is any
}

// take reports whether the fault strikes this event, and counts it.
func (o *ordered) take(event string) bool {
	if o == nil || o.n == 0 || len(o.events) > 0 && !slices.Contains(o.events, event) {
		return false
	}
	o.n--
	return true
}

// Lose loses the next n deliveries, of the events if any are named.
func (h *Host) Lose(n int, events ...string) {
	h.order(func(f *deliveryFaults) { f.lose = ordered{n, events} })
}

// Repeat sends each of the next n deliveries so many times at once, under one id.
func (h *Host) Repeat(n, copies int, events ...string) {
	h.order(func(f *deliveryFaults) { f.repeat, f.copies = ordered{n, events}, copies })
}

// Hold keeps deliveries back until Release.
func (h *Host) Hold(events ...string) {
	h.order(func(f *deliveryFaults) { f.hold = &ordered{-1, events} })
}

func (h *Host) order(change func(*deliveryFaults)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.onDelivery)
}

// Release sends held deliveries: those of the given GUIDs first and in this
// order, and without any all of them in the order of their events. It ends Hold
// where no GUID is given.
func (h *Host) Release(guids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, guid := range guids {
		for _, d := range h.deliveries {
			if d.GUID == guid && d.State == Held {
				h.dispatch(d)
			}
		}
	}
	if len(guids) > 0 {
		return
	}
	h.onDelivery.hold = nil
	for _, d := range h.deliveries {
		if d.State == Held {
			h.dispatch(d)
		}
	}
}

// Redeliver sends a delivery once more, under the same GUID, as the button in
// GitHub's settings does.
func (h *Host) Redeliver(guid string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, former := range h.deliveries {
		if former.GUID == guid {
			again := *former
			again.ID, again.Redelivery, again.Statuses, again.Error, again.copies = h.id(), true, nil, "", 1
			h.deliveries = append(h.deliveries, &again)
			h.dispatch(&again)
			return nil
		}
	}
	return fmt.Errorf("the stand-in has no delivery %s", guid)
}

// Send delivers any payload to a hook, signed with its secret: for events that
// the Host does not make itself, such as those of WebhookExamples.
func (h *Host) Send(full string, hook int64, event string, payload []byte) (guid string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.named(full)
	if err != nil {
		return "", err
	}
	w := r.hook(hook)
	if w == nil {
		return "", fmt.Errorf("repository %s has no hook %d", full, hook)
	}
	return h.queue(w, r, event, payload).GUID, nil
}

// Deliveries returns all deliveries so far, oldest first.
func (h *Host) Deliveries() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Delivery
	for _, d := range h.deliveries {
		found = append(found, *d)
	}
	return found
}

// WaitDelivery returns the first delivery for which fits holds, once there is one.
func (h *Host) WaitDelivery(ctx context.Context, fits func(Delivery) bool) (Delivery, error) {
	var found Delivery
	err := h.Wait(ctx, func() bool {
		deliveries := h.Deliveries()
		at := slices.IndexFunc(deliveries, fits)
		if at >= 0 {
			found = deliveries[at]
		}
		return at >= 0
	})
	return found, err
}

// Quiet returns when no delivery is on its way.
func (h *Host) Quiet(ctx context.Context) error {
	return h.Wait(ctx, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.inFlight == 0
	})
}

// emit tells every hook that asked for the event. mu is held.
func (h *Host) emit(r *repository, event string, sender *account, payload object) {
	payload.add(object{"repository": h.repoShape(r), "sender": h.userShape(sender)})
	if r.owner.organization {
		payload["organization"] = h.organizationShape(r.owner)
	}
	if event == "push" {
		h.pushRepository(r, payload["repository"].(object))
	}
	for _, w := range r.hooks {
		if w.asks(event) {
			h.deliver(w, r, event, payload)
		}
	}
	for _, i := range h.installs {
		if i.has(r) && i.suspended == nil && i.app.hook.asks(event) {
			payload["installation"] = object{"id": i.ID, "node_id": nodeID("IntegrationInstallation", i.ID)}
			h.deliver(i.app.hook, r, event, payload)
			delete(payload, "installation")
		}
	}
}

func (w *hook) asks(event string) bool {
	return w != nil && w.Active && (slices.Contains(w.Events, event) || slices.Contains(w.Events, "*"))
}

// deliver sends one event to one hook. mu is held.
func (h *Host) deliver(w *hook, r *repository, event string, payload object) {
	body, err := json.Marshal(payload)
	if err != nil {
		panic(err) // made of strings and numbers: it cannot fail
	}
	h.queue(w, r, event, body)
}

func (h *Host) queue(w *hook, r *repository, event string, payload []byte) *Delivery {
	var head struct {
		Action string `json:"action"`
	}
	_ = json.Unmarshal(payload, &head) // a payload without an action has none
	d := &Delivery{
		ID: h.id(), GUID: uuid.NewString(), Event: event, Action: head.Action, HookID: w.ID, URL: w.URL,
		Payload: payload, hook: w, copies: 1,
	}
	if r != nil {
		d.Repo = r.full()
	}
	h.deliveries = append(h.deliveries, d)
	faults := &h.onDelivery
	if faults.repeat.take(event) {
		d.copies = faults.copies
	}
	switch {
	case faults.lose.take(event):
		d.State = Lost
	case faults.hold.take(event):
		d.State = Held
	default:
		h.dispatch(d)
	}
	h.broadcast()
	return d
}
