package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// SoleOwnerOf returns the names of the Organisations that have no other owner
// than the User.
func (s *Store) SoleOwnerOf(ctx context.Context, user models.ID) ([]string, error) {
	owned := s.reader(ctx).Model(&models.Membership{}).Select("organisation_id").Where("user_id = ? AND role = ?", user, models.RoleOwner)
	shared := s.reader(ctx).Model(&models.Membership{}).Select("organisation_id").Where("user_id <> ? AND role = ?", user, models.RoleOwner)
	rows, err := all[models.Organisation](standing(s.reader(ctx)).Where("id IN (?) AND id NOT IN (?)", owned, shared).Order("name"), "organisations")
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		names = append(names, row.Name)
	}
	return names, err
}

// LockAdmins keeps other changes of who is an admin away until the transaction
// ends, and returns the admins that may log in.
func (s *Store) LockAdmins(ctx context.Context) ([]models.User, error) {
	return all[models.User](forUpdate(s.writer(ctx)).Where("admin = ? AND disabled = ?", true, false).Order("id"), "admins")
}

// LockMemberships keeps others from leaving the User's Organisations until the
// transaction ends.
func (s *Store) LockMemberships(ctx context.Context, user models.ID) error {
	mine, err := s.MembershipsOf(ctx, user)
	if err != nil {
		return err
	}
	ids := make([]models.ID, 0, len(mine))
	for id := range mine {
		ids = append(ids, id)
	}
	_, err = all[models.Organisation](forUpdate(s.writer(ctx)).Where("id IN ?", ids).Order("id"), "organisations")
	return err
}

// DeleteUser removes the User with all that is theirs. The Apps that they made
// go on, as made by an owner of their Organisation.
func (s *Store) DeleteUser(ctx context.Context, id models.ID) error {
	const heir = `UPDATE paas_applications SET creator_id = (
		SELECT m.user_id FROM paas_memberships m
		WHERE m.organisation_id = paas_applications.organisation_id AND m.role = 'owner' AND m.user_id <> ?
		ORDER BY m.created_at, m.id LIMIT 1) WHERE creator_id = ?`
	if err := s.writer(ctx).Exec(heir, id, id).Error; err != nil {
		return fmt.Errorf("hand the user's apps on: %w", err)
	}
	return gone(s.writer(ctx).Where("id = ?", id).Delete(&models.User{}), "user")
}
