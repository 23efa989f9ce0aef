package store

import (
	"context"
	"strings"
	"time"

	"github.com/skypanel/sky/models"
)

// CreateDomain inserts domain; a host that the App has, or that any App has
// proved, is a Conflict.
func (s *Store) CreateDomain(ctx context.Context, domain *models.Domain) error {
	return s.create(ctx, domain, "domain "+domain.Host)
}

// Domains returns the App's domains by host.
func (s *Store) Domains(ctx context.Context, app models.ID) ([]models.Domain, error) {
	return all[models.Domain](s.reader(ctx).Where("app_id = ?", app).Order("host"), "domains")
}

// CountDomains counts the App's domains.
func (s *Store) CountDomains(ctx context.Context, app models.ID) (int64, error) {
	return count(s.reader(ctx).Model(&models.Domain{}).Where("app_id = ?", app), "domains")
}

// Domain returns the App's domain of this host.
func (s *Store) Domain(ctx context.Context, app models.ID, host string) (models.Domain, error) {
	return first[models.Domain](s.reader(ctx).Where("app_id = ? AND host = ?", app, host), "domain")
}

// VerifiedDomains returns every proved domain by host.
func (s *Store) VerifiedDomains(ctx context.Context) ([]models.Domain, error) {
	return all[models.Domain](s.reader(ctx).Where("state = ?", models.DomainVerified).Order("host"), "domains")
}

// UpdateDomain reads the domain for update, lets change edit it and writes it
// back. Proving a host that another App has proved is a Conflict.
func (s *Store) UpdateDomain(ctx context.Context, id models.ID, change func(*models.Domain) error) (models.Domain, error) {
	return update(ctx, s, id, "domain", change)
}

// DeleteDomain removes a domain.
func (s *Store) DeleteDomain(ctx context.Context, id models.ID) error {
	return gone(s.writer(ctx).Where("id = ?", id).Delete(&models.Domain{}), "domain")
}

// DomainsDue returns the domains that wait for their proof, were not checked
// since one time, and were added after another.
func (s *Store) DomainsDue(ctx context.Context, checkedBefore, addedAfter time.Time) ([]models.Domain, error) {
	query := s.reader(ctx).Where("state = ? AND created_at > ? AND (checked_at IS NULL OR checked_at < ?)",
		models.DomainPending, addedAfter, checkedBefore)
	return all[models.Domain](query.Order("id").Limit(100), "domains")
}

// CheckHostFree refuses a host when another Organisation has proved it, or one
// that it lies under: who proved example.com decides about shop.example.com.
func (s *Store) CheckHostFree(ctx context.Context, app models.App, host string) error {
	names := []string{host}
	for rest := host; ; {
		_, parent, found := strings.Cut(rest, ".")
		if !found || !strings.Contains(parent, ".") {
			break
		}
		names, rest = append(names, parent), parent
	}
	taken, err := count(s.reader(ctx).Model(&models.Domain{}).
		Joins("JOIN paas_applications a ON a.id = paas_domains.app_id").
		Where("paas_domains.state = ? AND a.id <> ?", models.DomainVerified, app.ID).
		Where("(paas_domains.host = ? OR (paas_domains.host IN ? AND a.organisation_id <> ?))", host, names, app.OrganisationID), "domains")
	if err == nil && taken > 0 {
		return models.Errorf(models.Conflict, "%s is taken", host)
	}
	return err
}
