package platform

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// TestInvitations: a token makes the right person a member, once.
func TestInvitations(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		b.organisation(t, "acme")
		invitation, token, err := b.Invite(ctx, b.admin, "acme", "Ann@Example.com", models.RoleDeveloper)
		require.NoError(t, err)
		require.Equal(t, "ann@example.com", invitation.Email)
		_, fresh, err := b.Invite(ctx, b.admin, "acme", "ann@example.com", models.RoleViewer)
		require.NoError(t, err)
		_, err = b.SignUp(ctx, NewMember{Token: token, Name: "ann", Password: "correct horse battery"})
		require.True(t, models.IsCode(err, models.NotFound), "a second invitation voids the first")
		_, err = b.SignUp(ctx, NewMember{Token: fresh, Name: "ann", Password: "short"})
		require.True(t, models.IsCode(err, models.Invalid))
		var group sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 8 {
			group.Go(func() {
				_, err := b.SignUp(context.WithoutCancel(ctx), NewMember{Token: fresh, Name: fmt.Sprintf("ann-%d", i), Password: "correct horse battery"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				}
			})
		}
		group.Wait()
		require.Equal(t, 1, made)
		members, err := b.Members(ctx, b.admin, "acme", models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, members.Items, 2)

		_, token, err = b.Invite(ctx, b.admin, "acme", "ben@example.com", models.RoleAdmin)
		require.NoError(t, err)
		other := models.Actor{UserID: members.Items[1].UserID, Name: members.Items[1].User.Name, Scopes: models.AllScopes()}
		_, err = b.AcceptInvitation(ctx, other, token)
		require.True(t, models.IsCode(err, models.Forbidden), "it was for another address")
		events, err := b.Store.Events(ctx, store.EventFilter{Kind: "member"}, models.PageRequest{})
		require.NoError(t, err)
		for _, event := range events.Items {
			require.NotContains(t, event.Detail, token)
			require.NotContains(t, event.Detail, "correct horse")
		}
	})
}

// TestWhoIsTakenOutDoesNotGoLive: a push whose pusher loses role or account while
// it builds stays what it was: a build.
func TestWhoIsTakenOutDoesNotGoLive(t *testing.T) {
	for name, takeOut := range map[string]func(*stage, models.Membership) error{
		"removed": func(s *stage, member models.Membership) error {
			return s.Store.DeleteMembership(context.Background(), member)
		},
		"viewer": func(s *stage, member models.Membership) error {
			_, err := s.Store.UpdateMembership(context.Background(), member, func(row *models.Membership) error {
				row.Role = models.RoleViewer
				return nil
			})
			return err
		},
		"disabled": func(s *stage, member models.Membership) error {
			_, err := s.Store.UpdateUser(context.Background(), member.UserID, func(row *models.User) error {
				row.Disabled = true
				return nil
			})
			return err
		},
		"token revoked": func(s *stage, _ models.Membership) error {
			return s.Store.DeleteToken(context.Background(), s.actor.UserID, *s.actor.TokenID)
		},
		"token narrowed": func(s *stage, _ models.Membership) error {
			return s.Store.Transact(context.Background(), func(tx *store.Store) error {
				if err := tx.DeleteToken(context.Background(), s.actor.UserID, *s.actor.TokenID); err != nil {
					return err
				}
				return tx.CreateToken(context.Background(), benToken(s.actor, models.ScopeRead))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			ben := models.User{ID: models.NewID(), Name: "ben"}
			require.NoError(t, s.Store.CreateUser(t.Context(), &ben))
			member := models.Membership{ID: models.NewID(), OrganisationID: s.app.OrganisationID, UserID: ben.ID, Role: models.RoleDeveloper}
			require.NoError(t, s.Store.CreateMembership(t.Context(), &member))
			s.actor = models.Actor{UserID: ben.ID, Name: "ben", Via: "token ben", Scopes: models.AllScopes(), TokenID: new(models.NewID())}
			require.NoError(t, s.Store.CreateToken(t.Context(), benToken(s.actor, models.ScopeDeploy)))
			s.build.build = func(context.Context, buildpipeline.Job) error { return takeOut(s, member) }
			_, err := s.push(t, 1)
			require.True(t, models.IsCode(err, models.Forbidden), "%v", err)
			require.Nil(t, s.live(t).LiveReleaseID)
		})
	}
}

// benToken is the token that actor proves themselves with.
func benToken(actor models.Actor, scope models.Scope) *models.Token {
	return &models.Token{ID: *actor.TokenID, UserID: actor.UserID, Name: "ben", Hash: actor.TokenID[:], Scopes: models.Scopes{scope}}
}

// TestClaimedAddressYields: an address that somebody only claims neither keeps
// its owner out nor survives their proof of it; a proven one is not taken.
func TestClaimedAddressYields(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		b.organisation(t, "acme")
		squatter, _, err := b.CreateUser(ctx, b.admin, NewUser{Name: "squatter"})
		require.NoError(t, err)
		asSquatter := models.Actor{UserID: squatter.ID, Name: "squatter", Scopes: models.AllScopes()}
		address := "ann@example.com"
		_, err = b.ChangeAccount(ctx, asSquatter, "", AccountChange{Email: &address})
		require.NoError(t, err)
		_, token, err := b.Invite(ctx, b.admin, "acme", address, models.RoleDeveloper)
		require.NoError(t, err)
		ann, err := b.SignUp(ctx, NewMember{Token: token, Name: "ann", Password: "correct horse battery"})
		require.NoError(t, err)
		require.True(t, ann.EmailProven)
		after, err := b.Account(ctx, asSquatter)
		require.NoError(t, err)
		require.Nil(t, after.Email)
		_, err = b.ChangeAccount(ctx, asSquatter, "", AccountChange{Email: &address})
		require.True(t, models.IsCode(err, models.Conflict), "%v", err)

		other := "squat@example.com"
		_, err = b.ChangeAccount(ctx, asSquatter, "", AccountChange{Email: &other})
		require.NoError(t, err)
		_, token, err = b.Invite(ctx, b.admin, "acme", other, models.RoleViewer)
		require.NoError(t, err)
		_, err = b.AcceptInvitation(ctx, asSquatter, token)
		require.NoError(t, err)
		after, err = b.Account(ctx, asSquatter)
		require.NoError(t, err)
		require.True(t, after.EmailProven, "who has the token reads what is sent there")
	})
}

// TestRanksCountWhenTheChangeIsMade: an owner whose role is taken away while
// their changes are under way makes none after it.
func TestRanksCountWhenTheChangeIsMade(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		organisation := b.organisation(t, "acme")
		ann, _, err := b.CreateUser(ctx, b.admin, NewUser{Name: "ann"})
		require.NoError(t, err)
		seat := models.Membership{ID: models.NewID(), OrganisationID: organisation.ID, UserID: ann.ID, Role: models.RoleOwner}
		require.NoError(t, b.Store.CreateMembership(ctx, &seat))
		asAnn := models.Actor{UserID: ann.ID, Name: "ann", Scopes: models.AllScopes()}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { _, _, _ = b.Invite(ctx, asAnn, "acme", "friend@example.com", models.RoleOwner) })
		}
		_, err = b.ChangeMember(ctx, b.admin, "acme", "ann", models.RoleViewer)
		require.NoError(t, err)
		before, err := b.Store.Invitations(ctx, organisation.ID, models.PageRequest{})
		require.NoError(t, err)
		group.Wait()
		after, err := b.Store.Invitations(ctx, organisation.ID, models.PageRequest{})
		require.NoError(t, err)
		require.Equal(t, before, after, "invitations by who is no owner any more")
	})
}
