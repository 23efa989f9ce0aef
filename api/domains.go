package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// DomainInput is a request about one Domain.
type DomainInput struct {
	AppInput
	Host string `path:"host" maxLength:"254" doc:"The domain"`
}

func (s *server) domains(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, appPath+"/domains", "list-domains", "List an app's domains", models.AppRead), s.listDomains)
	huma.Register(routes, creating(appPath+"/domains", "add-domain", "Add a domain", models.AppConfigure), s.addDomain)
	huma.Register(routes, operation(http.MethodPost, appPath+"/domains/{host}/verify", "verify-domain", "Check a domain's DNS now", models.AppConfigure), s.verifyDomain)
	huma.Register(routes, operation(http.MethodDelete, appPath+"/domains/{host}", "remove-domain", "Remove a domain", models.AppConfigure), s.removeDomain)
}

func wireDomain(view platform.DomainView) v1.Domain {
	return v1.Domain{
		Host: view.Host, App: view.App, State: string(view.State), Error: view.Error,
		Records:   each(view.Records, func(record platform.Record) v1.DNSRecord { return v1.DNSRecord(record) }),
		CheckedAt: view.CheckedAt, VerifiedAt: view.VerifiedAt, CreatedAt: view.CreatedAt,
	}
}

func (s *server) listDomains(ctx context.Context, input *AppInput) (*body[[]v1.Domain], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	views, err := s.Platform.Domains(ctx, app)
	return answer(ctx, s, each(views, wireDomain), err)
}

func (s *server) addDomain(ctx context.Context, input *struct {
	AppInput
	Body v1.NewDomain
}) (*body[v1.Domain], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.AddDomain(ctx, actor(ctx), app, input.Body.Host)
	return answer(ctx, s, wireDomain(view), err)
}

func (s *server) verifyDomain(ctx context.Context, input *DomainInput) (*body[v1.Domain], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.VerifyDomain(ctx, actor(ctx), app, input.Host)
	return answer(ctx, s, wireDomain(view), err)
}

func (s *server) removeDomain(ctx context.Context, input *DomainInput) (*struct{}, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return s.done(ctx, s.Platform.RemoveDomain(ctx, actor(ctx), app, input.Host))
}
