package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
)

// CreateOrganisation inserts the Organisation with its wallet and its first
// owner, in one transaction.
func (s *Store) CreateOrganisation(ctx context.Context, organisation *models.Organisation, owner models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		if err := tx.create(ctx, organisation, "organisation "+organisation.Name); err != nil {
			return err
		}
		if err := tx.create(ctx, &models.Wallet{OrganisationID: organisation.ID}, "wallet"); err != nil {
			return err
		}
		return tx.CreateMembership(ctx, &models.Membership{
			ID: models.NewID(), OrganisationID: organisation.ID, UserID: owner, Role: models.RoleOwner, CreatedAt: organisation.CreatedAt,
		})
	})
}

func standing(query *gorm.DB) *gorm.DB { return query.Where("deleted_at IS NULL") }

// Organisation returns the Organisation with this id.
func (s *Store) Organisation(ctx context.Context, id models.ID) (models.Organisation, error) {
	return first[models.Organisation](standing(s.reader(ctx)).Where("id = ?", id), "organisation")
}

// OrganisationByName returns the Organisation with this name.
func (s *Store) OrganisationByName(ctx context.Context, name string) (models.Organisation, error) {
	return first[models.Organisation](standing(s.reader(ctx)).Where("name = ?", name), "organisation")
}

// OrganisationFilter narrows a list of Organisations.
type OrganisationFilter struct {
	ID        *models.ID // only this one
	Member    *models.ID // only those that this User is a member of
	Search    string
	Suspended *bool
}

// Organisations returns a page of Organisations.
func (s *Store) Organisations(ctx context.Context, filter OrganisationFilter, ask models.PageRequest) (models.Page[models.Organisation], error) {
	query := containing(standing(s.reader(ctx)), filter.Search, "name", "title")
	if filter.ID != nil {
		query = query.Where("id = ?", *filter.ID)
	}
	if filter.Member != nil {
		query = query.Where("id IN (?)", s.reader(ctx).Model(&models.Membership{}).Select("organisation_id").Where("user_id = ?", *filter.Member))
	}
	if filter.Suspended != nil {
		query = query.Where("suspended = ?", *filter.Suspended)
	}
	return page[models.Organisation](query, ask, "organisations", "name", "created_at")
}

// OrganisationsByID returns the Organisations with these ids.
func (s *Store) OrganisationsByID(ctx context.Context, ids []models.ID) (map[models.ID]models.Organisation, error) {
	rows, err := all[models.Organisation](s.reader(ctx).Where("id IN ?", ids), "organisations")
	return byID(rows, func(row models.Organisation) models.ID { return row.ID }), err
}

// byID keys rows by their id.
func byID[T any](rows []T, id func(T) models.ID) map[models.ID]T {
	keyed := make(map[models.ID]T, len(rows))
	for _, row := range rows {
		keyed[id(row)] = row
	}
	return keyed
}

// UpdateOrganisation reads the Organisation for update, lets change edit it and
// writes it back, in one transaction.
func (s *Store) UpdateOrganisation(ctx context.Context, id models.ID, change func(*models.Organisation) error) (models.Organisation, error) {
	return update(ctx, s, id, "organisation", change)
}

// DestroyOrganisation marks the Organisation as deleted and removes its members
// and invitations. One that has Apps or databases is a Conflict.
func (s *Store) DestroyOrganisation(ctx context.Context, id models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		if _, err := tx.LockOrganisation(ctx, id); err != nil {
			return err
		}
		for noun, table := range map[string]any{"apps": &models.App{}, "databases": &models.Database{}} {
			left, err := count(tx.writer(ctx).Model(table).Where("organisation_id = ?", id), noun)
			if err != nil {
				return err
			}
			if left > 0 {
				return models.Errorf(models.Conflict, "the organisation still has %d %s", left, noun).WithRemedy("destroy them first")
			}
		}
		for _, row := range []any{&models.Membership{}, &models.Invitation{}, &models.Token{}} {
			if err := tx.writer(ctx).Where("organisation_id = ?", id).Delete(row).Error; err != nil {
				return fmt.Errorf("delete what hangs on the organisation: %w", err)
			}
		}
		_, err := update(ctx, tx, id, "organisation", func(row *models.Organisation) error {
			at := now()
			row.DeletedAt = &at
			return nil
		})
		return err
	})
}

// update reads a row for update, lets change edit it and writes it back, in one
// transaction. It returns the row as written.
func update[T any](ctx context.Context, s *Store, id models.ID, what string, change func(*T) error) (T, error) {
	var row T
	err := s.Transact(ctx, func(tx *Store) error {
		var err error
		if row, err = first[T](forUpdate(tx.writer(ctx)).Where("id = ?", id), what); err != nil {
			return err
		}
		if err := change(&row); err != nil {
			return err
		}
		return tx.save(ctx, &row, what)
	})
	return row, err
}

// CreateMembership inserts membership; somebody who is a member is a Conflict.
func (s *Store) CreateMembership(ctx context.Context, membership *models.Membership) error {
	return s.create(ctx, membership, "the membership")
}

// Membership returns the User's membership in the Organisation.
func (s *Store) Membership(ctx context.Context, organisation, user models.ID) (models.Membership, error) {
	return first[models.Membership](s.reader(ctx).Where("organisation_id = ? AND user_id = ?", organisation, user), "membership")
}

// MembershipsOf returns all memberships of the User, by Organisation.
func (s *Store) MembershipsOf(ctx context.Context, user models.ID) (map[models.ID]models.Membership, error) {
	rows, err := all[models.Membership](s.reader(ctx).Where("user_id = ?", user), "memberships")
	return byID(rows, func(row models.Membership) models.ID { return row.OrganisationID }), err
}

// AdminOrganisations returns for each admin of the platform the Organisation that
// they have owned for the longest.
func (s *Store) AdminOrganisations(ctx context.Context) ([]models.ID, error) {
	var owned []struct{ UserID, OrganisationID models.ID }
	err := s.reader(ctx).Table("paas_memberships AS m").Joins("JOIN paas_users AS u ON u.id = m.user_id").
		Joins("JOIN paas_organisations AS o ON o.id = m.organisation_id").
		Where("u.admin = ? AND u.disabled = ? AND m.role = ? AND o.deleted_at IS NULL", true, false, models.RoleOwner).
		Order("m.created_at, m.id").Select("m.user_id, m.organisation_id").Scan(&owned).Error
	if err != nil {
		return nil, fmt.Errorf("list the admins' organisations: %w", err)
	}
	had, told := map[models.ID]bool{}, map[models.ID]bool{}
	var found []models.ID
	for _, row := range owned {
		if !had[row.UserID] && !told[row.OrganisationID] {
			found = append(found, row.OrganisationID)
		}
		had[row.UserID], told[row.OrganisationID] = true, true
	}
	return found, nil
}

// Memberships returns a page of the Organisation's memberships.
func (s *Store) Memberships(ctx context.Context, organisation models.ID, ask models.PageRequest) (models.Page[models.Membership], error) {
	return page[models.Membership](s.reader(ctx).Where("organisation_id = ?", organisation), ask, "members", "created_at", "role")
}

// UpdateMembership reads the membership for update, lets change edit it and
// writes it back. A change that leaves the Organisation without an owner is a
// Conflict.
func (s *Store) UpdateMembership(ctx context.Context, membership models.Membership, change func(*models.Membership) error) (models.Membership, error) {
	err := s.Transact(ctx, func(tx *Store) error {
		if _, err := tx.LockOrganisation(ctx, membership.OrganisationID); err != nil {
			return err
		}
		var err error
		if membership, err = update(ctx, tx, membership.ID, "membership", change); err != nil {
			return err
		}
		return tx.needsOwner(ctx, membership.OrganisationID)
	})
	return membership, err
}

// DeleteMembership removes the membership. The last owner's is a Conflict.
func (s *Store) DeleteMembership(ctx context.Context, membership models.Membership) error {
	return s.Transact(ctx, func(tx *Store) error {
		if _, err := tx.LockOrganisation(ctx, membership.OrganisationID); err != nil {
			return err
		}
		if err := tx.writer(ctx).Delete(&models.Membership{}, "id = ?", membership.ID).Error; err != nil {
			return fmt.Errorf("delete membership: %w", err)
		}
		return tx.needsOwner(ctx, membership.OrganisationID)
	})
}

// LockOrganisation returns the Organisation and keeps its end, and other changes
// of its members and of how many Apps it has, away until the transaction ends.
func (s *Store) LockOrganisation(ctx context.Context, id models.ID) (models.Organisation, error) {
	return first[models.Organisation](forUpdate(standing(s.writer(ctx))).Where("id = ?", id), "organisation")
}

func (s *Store) needsOwner(ctx context.Context, organisation models.ID) error {
	owners, err := count(s.writer(ctx).Model(&models.Membership{}).
		Where("organisation_id = ? AND role = ?", organisation, models.RoleOwner), "owners")
	if err == nil && owners == 0 {
		return models.Errorf(models.Conflict, "an organisation keeps at least one owner").WithField("role").
			WithRemedy("make somebody else an owner first")
	}
	return err
}

// ReplaceInvitation inserts the invitation in place of one to the same address.
func (s *Store) ReplaceInvitation(ctx context.Context, invitation *models.Invitation) error {
	return s.Transact(ctx, func(tx *Store) error {
		former := tx.writer(ctx).Where("organisation_id = ? AND email = ?", invitation.OrganisationID, invitation.Email)
		if err := former.Delete(&models.Invitation{}).Error; err != nil {
			return fmt.Errorf("replace invitation: %w", err)
		}
		return tx.create(ctx, invitation, "invitation")
	})
}

// Invitations returns a page of the Organisation's open invitations.
func (s *Store) Invitations(ctx context.Context, organisation models.ID, ask models.PageRequest) (models.Page[models.Invitation], error) {
	query := s.reader(ctx).Where("organisation_id = ? AND expires_at > ?", organisation, now())
	return page[models.Invitation](query, ask, "invitations", "email", "created_at")
}

// InvitationByHash returns the invitation whose token has this SHA-256.
func (s *Store) InvitationByHash(ctx context.Context, hash []byte) (models.Invitation, error) {
	return first[models.Invitation](s.reader(ctx).Where("hash = ?", hash), "invitation")
}

// DeleteInvitation removes an invitation. One that is not there is NotFound, so
// that of two who accept it only one can.
func (s *Store) DeleteInvitation(ctx context.Context, organisation, id models.ID) error {
	result := s.writer(ctx).Where("organisation_id = ? AND id = ?", organisation, id).Delete(&models.Invitation{})
	return gone(result, "invitation")
}

// gone turns the outcome of a delete into an error: nothing deleted is NotFound,
// and what somebody began to use meanwhile is a Conflict.
func gone(result *gorm.DB, what string) error {
	if errors.Is(result.Error, gorm.ErrForeignKeyViolated) {
		return models.Errorf(models.Conflict, "the %s is in use", what)
	}
	if result.Error != nil {
		return fmt.Errorf("delete %s: %w", what, result.Error)
	}
	if result.RowsAffected == 0 {
		return models.Errorf(models.NotFound, "no such %s", what)
	}
	return nil
}
