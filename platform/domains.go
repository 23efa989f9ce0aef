package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// Resolver asks the DNS; net.DefaultResolver does.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

const (
	maxDomains = 100 // of one App
	// dnsPatience bounds one check, however slow the domain's servers are.
	dnsPatience = 10 * time.Second
	// recheckAfter is the least time between two checks of a Domain that nobody
	// asked for.
	recheckAfter = 5 * time.Minute
	// giveUpAfter is when a Domain is checked no more, unless somebody asks.
	giveUpAfter = 7 * 24 * time.Hour
)

// Record is a DNS record to make.
type Record struct {
	Type    string // CNAME, A, AAAA or TXT
	Name    string
	Value   string
	Purpose string
}

// DomainView is a Domain with the DNS records that it needs.
type DomainView struct {
	models.Domain
	App     string
	Records []Record
}

// Domains lists an App's domains by host.
func (p *Platform) Domains(ctx context.Context, app models.App) ([]DomainView, error) {
	rows, err := p.Store.Domains(ctx, app.ID)
	views := make([]DomainView, 0, len(rows))
	for _, row := range rows {
		views = append(views, p.domainView(app, row))
	}
	return views, err
}

func (p *Platform) domainView(app models.App, domain models.Domain) DomainView {
	records := []Record{{
		Type: "TXT", Name: "_sky." + domain.Host, Value: domain.Challenge, Purpose: "proves that the domain is yours",
	}}
	target := Record{Type: "CNAME", Name: domain.Host, Value: p.Settings.Host(app.Name), Purpose: "leads to the app"}
	if len(strings.Split(domain.Host, ".")) == 2 { // an apex has no CNAME (RFC 1034, section 3.6.2)
		target.Type, target.Purpose = "ALIAS", "leads to the app; where your DNS has no ALIAS, use A records with the addresses of "+target.Value
	}
	return DomainView{Domain: domain, App: app.Name, Records: append([]Record{target}, records...)}
}

// AddDomain lets a host lead to the App, once its owner has proved that it is
// theirs. A host that another App has proved is a Conflict.
func (p *Platform) AddDomain(ctx context.Context, actor models.Actor, app models.App, host string) (DomainView, error) {
	host, err := p.checkHost(host)
	if err != nil {
		return DomainView{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return DomainView{}, err
	}
	domain := models.Domain{
		ID: models.NewID(), AppID: app.ID, Host: host, State: models.DomainPending, Challenge: "sky-" + strings.ToLower(rand.Text()), CreatedAt: now(),
	}
	if !options.VerifyDomains {
		at := now()
		domain.State, domain.VerifiedAt = models.DomainVerified, &at
	}
	err = p.commit(ctx, actor, fact{kind: "domain.add", detail: host, app: &app}, func(tx *store.Store) error {
		return addDomain(ctx, tx, app, &domain)
	})
	if err != nil {
		return DomainView{}, err
	}
	if domain.State == models.DomainVerified {
		p.refreshAll(ctx)
	}
	return p.domainView(app, domain), nil
}

// addDomain inserts the domain, in a transaction that looks whether it may.
func addDomain(ctx context.Context, tx *store.Store, app models.App, domain *models.Domain) error {
	count, err := tx.CountDomains(ctx, app.ID)
	if err != nil {
		return err
	}
	if count >= maxDomains {
		return models.Errorf(models.Conflict, "an app has at most %d domains", maxDomains).WithRemedy("remove one")
	}
	err = tx.CheckHostFree(ctx, app, domain.Host)
	if err == nil {
		err = tx.CreateDomain(ctx, domain)
	}
	if models.IsCode(err, models.Conflict) {
		err = models.Errorf(models.Conflict, "%s is taken", domain.Host).WithField("host").
			WithRemedy("remove it from the app that has it; if that is not yours, ask an admin of the platform")
	}
	return err
}

// checkHost cleans a host and refuses those that are the platform's own.
func (p *Platform) checkHost(text string) (string, error) {
	host, err := models.CleanHost(text)
	if err != nil {
		return "", err
	}
	own := strings.ToLower(p.Settings.Domain)
	if host == own || strings.HasSuffix(host, "."+own) {
		return "", models.Errorf(models.Conflict, "%s belongs to the platform", host).WithField("host").
			WithRemedy("every app has its name under %s already; add a domain of your own", own)
	}
	return host, nil
}

// RemoveDomain takes a host from the App.
func (p *Platform) RemoveDomain(ctx context.Context, actor models.Actor, app models.App, host string) error {
	domain, err := p.domain(ctx, app, host)
	if err != nil {
		return err
	}
	err = p.commit(ctx, actor, fact{kind: "domain.remove", detail: domain.Host, app: &app}, func(tx *store.Store) error {
		return tx.DeleteDomain(ctx, domain.ID)
	})
	if err == nil {
		p.refreshAll(ctx)
	}
	return err
}

func (p *Platform) domain(ctx context.Context, app models.App, host string) (models.Domain, error) {
	domain, err := p.Store.Domain(ctx, app.ID, strings.ToLower(strings.TrimSuffix(host, ".")))
	if models.IsCode(err, models.NotFound) {
		err = models.Errorf(models.NotFound, "%s has no domain %q", app.Name, narrative.Clean(host)).WithField("host").
			WithRemedy("`sky domains list -a %s` shows them", app.Name)
	}
	return domain, err
}

// VerifyDomain checks now whether the DNS proves a host to be the App owner's.
// What it found is in the answer; a host that is not proved is no error.
func (p *Platform) VerifyDomain(ctx context.Context, actor models.Actor, app models.App, host string) (DomainView, error) {
	domain, err := p.domain(ctx, app, host)
	if err != nil {
		return DomainView{}, err
	}
	if domain.State != models.DomainVerified {
		if domain, err = p.verify(ctx, actor, app, domain); err != nil {
			return DomainView{}, err
		}
	}
	return p.domainView(app, domain), nil
}

func (p *Platform) verify(ctx context.Context, actor models.Actor, app models.App, domain models.Domain) (models.Domain, error) {
	proof := p.prove(ctx, domain)
	at := now()
	change := func(row *models.Domain) error {
		row.CheckedAt, row.Error = &at, ""
		if proof != nil {
			row.Error = proof.Error()
			return nil
		}
		row.State, row.VerifiedAt = models.DomainVerified, &at
		return nil
	}
	if proof != nil {
		return p.Store.UpdateDomain(ctx, domain.ID, change)
	}
	err := p.commit(ctx, actor, fact{kind: "domain.verify", detail: domain.Host, app: &app}, func(tx *store.Store) error {
		if err := tx.CheckHostFree(ctx, app, domain.Host); err != nil {
			return err
		}
		var err error
		domain, err = tx.UpdateDomain(ctx, domain.ID, change)
		return err
	})
	if models.IsCode(err, models.Conflict) {
		return domain, models.Errorf(models.Conflict, "%s is taken", domain.Host).WithField("host").WithRemedy("remove it from the app that has it")
	}
	if err == nil {
		p.refreshAll(ctx)
	}
	return domain, err
}

// prove returns nil when the TXT record at _sky.HOST holds the challenge, and
// else what is wrong with it, for a person.
func (p *Platform) prove(ctx context.Context, domain models.Domain) error {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	name := "_sky." + domain.Host
	texts, err := p.Resolver.LookupTXT(ctx, name+".")
	var missing *net.DNSError
	switch {
	case errors.As(err, &missing) && missing.IsNotFound:
		return fmt.Errorf("there is no TXT record at %s", name)
	case err != nil:
		return fmt.Errorf("the DNS did not answer for %s", name)
	case !slices.Contains(texts, domain.Challenge):
		return fmt.Errorf("the TXT record at %s holds something else", name)
	}
	return nil
}

// verifyDue checks Domains that wait for their proof.
func (p *Platform) verifyDue(ctx context.Context, at time.Time) error {
	due, err := p.Store.DomainsDue(ctx, at.Add(-recheckAfter), at.Add(-giveUpAfter))
	if err != nil {
		return err
	}
	var failures []error
	for _, domain := range due {
		app, err := p.Store.App(ctx, domain.AppID)
		if err == nil {
			_, err = p.verify(ctx, models.Actor{Name: "sky"}, app, domain)
		}
		if !models.IsCode(err, models.Conflict) && !models.IsCode(err, models.NotFound) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}
