package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) overview(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/regions", "list-regions", "List regions and their capacity", models.AccountRead), s.listRegions)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/capacity", "get-capacity", "Show what the nodes have, by region", models.PlatformManage), s.getCapacity)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/stats", "get-stats", "Count what there is", models.PlatformManage), s.getStats)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/disk", "get-disk", "Account for the disk space of builds and data", models.PlatformManage), s.getDisk)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/settings", "get-settings", "Show the platform's settings", models.PlatformManage), s.getSettings)
	huma.Register(routes, operation(http.MethodPatch, adminPrefix+"/settings", "change-settings", "Change the platform's settings", models.PlatformManage), s.changeSettings)
	huma.Register(routes, operation(http.MethodPost, adminPrefix+"/keys/rotate", "rotate-keys", "Seal all secrets with a fresh master key", models.PlatformManage), s.rotateKeys)
	huma.Register(routes, operation(http.MethodPost, adminPrefix+"/seed", "seed", "Add default plans and runtimes that were never there", models.PlatformManage), s.seed)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/organisations", "list-all-organisations", "List every organisation", models.PlatformManage), s.listAllOrganisations)
	huma.Register(routes, operation(http.MethodPatch, adminPrefix+"/organisations/{organisation}", "suspend-organisation", "Stop, or allow again, what an organisation runs", models.PlatformManage), s.suspendOrganisation)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/events", "list-events", "List audit events, the newest first", models.PlatformManage), s.listEvents)
	huma.Register(routes, operation(http.MethodGet, orgPath+"/activity", "list-activity", "List an organisation's audit events, the newest first", models.OrgRead), s.listActivity)
	follow := operation(http.MethodGet, orgPath+"/activity/stream", "follow-activity", "Follow an organisation's audit events", models.OrgRead)
	stream(s, routes, follow, v1.Event{}, source[FollowInput, *models.ID]{find: s.findActivity, read: s.readActivity})
}

func wireRegion(region platform.Region) v1.Region {
	return v1.Region{
		Name: region.Name, Nodes: region.Nodes, CPUMillis: region.CPUMillis, MemoryBytes: region.MemoryBytes,
		ReservedMillis: region.ReservedMillis, ReservedBytes: region.ReservedBytes, Full: region.Full(),
	}
}

func (s *server) listRegions(ctx context.Context, _ *struct{}) (*body[[]v1.Region], error) {
	regions, err := s.Platform.Regions(ctx, actor(ctx))
	return answer(ctx, s, each(regions, wireRegion), err)
}

func (s *server) getCapacity(ctx context.Context, _ *struct{}) (*body[[]v1.Region], error) {
	regions, err := s.Platform.Capacity(ctx, actor(ctx))
	return answer(ctx, s, each(regions, wireRegion), err)
}

func (s *server) getStats(ctx context.Context, _ *struct{}) (*body[v1.Stats], error) {
	stats, err := s.Platform.Stats(ctx, actor(ctx))
	return answer(ctx, s, v1.Stats(stats), err)
}

func (s *server) getSettings(ctx context.Context, _ *struct{}) (*body[v1.Settings], error) {
	options, err := s.Platform.ShowOptions(ctx, actor(ctx))
	return answer(ctx, s, v1.Settings(options), err)
}

func (s *server) changeSettings(ctx context.Context, input *body[v1.SettingsChange]) (*body[v1.Settings], error) {
	options, err := s.Platform.ChangeOptions(ctx, actor(ctx), platform.OptionsChange(input.Body))
	return answer(ctx, s, v1.Settings(options), err)
}

func (s *server) seed(ctx context.Context, _ *struct{}) (*body[v1.Outcome], error) {
	added, err := s.Platform.SeedFor(ctx, actor(ctx))
	return answer(ctx, s, v1.Outcome{Log: []string{fmt.Sprintf("added %d rows", added)}}, err)
}

func (s *server) rotateKeys(ctx context.Context, _ *struct{}) (*body[v1.Rotation], error) {
	rotation, err := s.Platform.RotateKeys(ctx, actor(ctx))
	return answer(ctx, s, v1.Rotation(rotation), err)
}

func (s *server) listAllOrganisations(ctx context.Context, input *struct {
	PageInput
	Search    string       `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
	Suspended OptionalBool `query:"suspended" doc:"Only those that are, or are not"`
}) (*body[v1.Page[v1.Organisation]], error) {
	asked := platform.OrganisationsAsked{Search: input.Search, Suspended: input.Suspended.value()}
	rows, err := s.Platform.AllOrganisations(ctx, actor(ctx), asked, input.page())
	return pageOf(ctx, s, rows, func(row models.Organisation) v1.Organisation {
		return wireOrganisation(platform.OrganisationView{Organisation: row})
	}, err)
}

func (s *server) suspendOrganisation(ctx context.Context, input *struct {
	OrganisationInput
	Body v1.Suspension
}) (*body[v1.Organisation], error) {
	row, err := s.Platform.SuspendOrganisation(ctx, actor(ctx), input.Organisation, input.Body.Suspended, input.Body.Reason)
	return answer(ctx, s, wireOrganisation(platform.OrganisationView{Organisation: row}), err)
}

// EventsInput narrows a list of audit events.
type EventsInput struct {
	PageInput
	App    string    `query:"app" maxLength:"40" doc:"Only those about this app"`
	Actor  string    `query:"actor" maxLength:"100" doc:"Only those of this user"`
	Kind   string    `query:"kind" maxLength:"40" doc:"Such as app.create, or app for all of its kinds"`
	Search string    `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
	Since  time.Time `query:"since" doc:"Only those from then on"`
	Until  time.Time `query:"until" doc:"Only those before then"`
}

func (s *server) getDisk(ctx context.Context, _ *struct{}) (*body[v1.Disk], error) {
	disk, err := s.Platform.Disk(ctx, actor(ctx))
	wire := v1.Disk{FreeBytes: disk.FreeBytes, TotalBytes: disk.TotalBytes, FloorBytes: disk.FloorBytes}
	wire.Items = each(disk.Items, func(item platform.DiskItem) v1.DiskItem { return v1.DiskItem(item) })
	return answer(ctx, s, wire, err)
}

func (i EventsInput) asked(organisation string) platform.EventsAsked {
	asked := platform.EventsAsked{Organisation: organisation, App: i.App, Actor: i.Actor, Kind: i.Kind, Search: i.Search}
	if !i.Since.IsZero() {
		asked.Since = &i.Since
	}
	if !i.Until.IsZero() {
		asked.Until = &i.Until
	}
	return asked
}

func wireEvent(event models.Event) v1.Event {
	wire := v1.Event{
		ID: event.ID.String(), Kind: event.Kind, Actor: event.Actor, Via: event.Via, Address: event.Address,
		Detail: event.Detail, CreatedAt: event.CreatedAt,
	}
	if event.AppID != nil {
		wire.AppID = event.AppID.String()
	}
	return wire
}

func (s *server) listEvents(ctx context.Context, input *struct {
	EventsInput
	Organisation string `query:"organisation" maxLength:"40" doc:"Only those of this organisation"`
}) (*body[v1.Page[v1.Event]], error) {
	events, err := s.Platform.Events(ctx, actor(ctx), input.asked(input.Organisation), input.page())
	return pageOf(ctx, s, events, wireEvent, err)
}

func (s *server) listActivity(ctx context.Context, input *struct {
	OrganisationInput
	EventsInput
}) (*body[v1.Page[v1.Event]], error) {
	events, err := s.Platform.Activity(ctx, actor(ctx), input.asked(input.Organisation), input.page())
	return pageOf(ctx, s, events, wireEvent, err)
}

// FollowInput asks for an Organisation's events as they come.
type FollowInput struct {
	OrganisationInput
	After string `query:"after" maxLength:"36" doc:"Begin behind this event; by default with what comes now"`
}

func (s *server) readActivity(ctx context.Context, after *models.ID, input *FollowInput, send sender) error {
	asked := platform.EventsAsked{Organisation: input.Organisation}
	return s.Platform.FollowActivity(ctx, actor(ctx), asked, after, func(event models.Event) error { return send(0, wireEvent(event)) })
}

// findActivity reads where to begin; nil is now.
func (s *server) findActivity(ctx context.Context, input *FollowInput) (*models.ID, error) {
	_, err := s.Platform.Organisation(ctx, actor(ctx), models.OrgRead, input.Organisation)
	if err != nil || input.After == "" {
		return nil, err
	}
	id, err := models.ParseID(input.After)
	if err != nil {
		return nil, models.Errorf(models.Invalid, "that is not an event's id").WithField("after").WithRemedy("pass the id of an event")
	}
	return &id, nil
}
