package platform

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// code is what an authenticator shows after some steps.
func code(t *testing.T, secret string, steps int) string {
	t.Helper()
	text, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*totpPeriod*time.Second))
	require.NoError(t, err)
	return text
}

func TestTwoFactors(t *testing.T) {
	clocked(t, func(t *testing.T, g *gate) {
		user := g.person(t, "ann")
		here, _ := g.login(t, "ann")
		_, elsewhere := g.login(t, "ann")
		pending, err := g.BeginTOTP(t.Context(), here)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(pending.URL, "otpauth://totp/Sky:ann?"))
		g.login(t, "ann") // it does not count yet
		_, err = g.ConfirmTOTP(t.Context(), here, "000000")
		requireCode(t, models.Unauthorized, err)
		used := code(t, pending.Secret, 0)
		codes, err := g.ConfirmTOTP(t.Context(), here, used)
		require.NoError(t, err)
		require.Len(t, codes, recoveryCodes)
		_, err = g.ActorBySession(t.Context(), elsewhere)
		requireCode(t, models.Unauthorized, err)
		_, err = g.Renewed(t.Context(), here)
		require.NoError(t, err)

		enter := func(code string) error {
			_, _, err := g.Login(t.Context(), Credentials{Login: "ann", Password: goodPassword, Code: code})
			return err
		}
		err = enter("")
		requireCode(t, models.Unauthorized, err)
		require.Equal(t, "code", models.AsError(err).Field)
		requireCode(t, models.Unauthorized, enter(used))
		pass(totpPeriod * time.Second)
		require.NoError(t, enter(code(t, pending.Secret, 0)))
		requireCode(t, models.Unauthorized, enter(code(t, pending.Secret, 0)))
		requireCode(t, models.Unauthorized, enter(code(t, pending.Secret, -1)))
		require.NoError(t, enter(code(t, pending.Secret, 1)), "a clock may be one step ahead")
		requireCode(t, models.Unauthorized, enter(code(t, pending.Secret, 2)))
		pass(2 * time.Minute)
		require.NoError(t, enter(code(t, pending.Secret, -1)), "or one behind")

		require.NoError(t, enter(strings.ToUpper(codes[0])))
		requireCode(t, models.Unauthorized, enter(codes[0]))
		_, _, err = g.Login(t.Context(), Credentials{Login: "ann", Password: "wrong", Code: codes[1]})
		require.Equal(t, errLogin, err)
		require.NoError(t, enter(codes[1]), "a wrong password uses no code up")

		row, err := g.Store.User(t.Context(), user.ID)
		require.NoError(t, err)
		require.Len(t, row.RecoveryHashes, recoveryCodes-2)
		require.NotContains(t, string(row.TOTPSecret), pending.Secret)
		for _, secret := range append(codes, pending.Secret, goodPassword) {
			require.NotContains(t, g.facts(t)+g.logged.String(), secret)
		}
		pass(time.Hour) // for the limits
		requireCode(t, models.Forbidden, g.EndTOTP(t.Context(), here, "wrong", codes[2]))
		requireCode(t, models.Unauthorized, g.EndTOTP(t.Context(), here, goodPassword, "000000"))
		require.NoError(t, g.EndTOTP(t.Context(), here, goodPassword, codes[2]))
		requireCode(t, models.Conflict, g.EndTOTP(t.Context(), here, goodPassword, codes[3]))
		require.NoError(t, enter(""))
	})
}

// TestSecondFactorsDoNotMove: one user's sealed secret is nothing in another's row.
func TestSecondFactorsDoNotMove(t *testing.T) {
	g := sqliteGate(t)
	g.person(t, "ann")
	bob := g.person(t, "bob")
	ann, _ := g.login(t, "ann")
	pending, err := g.BeginTOTP(t.Context(), ann)
	require.NoError(t, err)
	_, err = g.ConfirmTOTP(t.Context(), ann, code(t, pending.Secret, 0))
	require.NoError(t, err)
	row, err := g.Store.User(t.Context(), ann.UserID)
	require.NoError(t, err)
	_, err = g.Store.UpdateUser(t.Context(), bob.ID, func(other *models.User) error {
		other.TOTPSecret, other.TOTPEnabled = row.TOTPSecret, true
		return nil
	})
	require.NoError(t, err)
	_, _, err = g.Login(t.Context(), Credentials{Login: "bob", Password: goodPassword, Code: code(t, pending.Secret, 1)})
	require.ErrorContains(t, err, "does not open")
	require.Equal(t, models.Internal, models.CodeOf(err))
}

// TestOneCodeLetsOneIn: of many who use one code at once, one gets in.
func TestOneCodeLetsOneIn(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		ann, _ := g.login(t, "ann")
		pending, err := g.BeginTOTP(t.Context(), ann)
		require.NoError(t, err)
		_, err = g.ConfirmTOTP(t.Context(), ann, code(t, pending.Secret, -1))
		require.NoError(t, err)
		same := code(t, pending.Secret, 1)
		var group sync.WaitGroup
		in := make(chan struct{}, 4)
		for range cap(in) {
			group.Go(func() {
				if _, _, err := g.Login(t.Context(), Credentials{Login: "ann", Password: goodPassword, Code: same}); err == nil {
					in <- struct{}{}
				}
			})
		}
		group.Wait()
		require.Len(t, in, 1)
	})
}

func TestPasswordChange(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		ann := g.person(t, "ann")
		here, mine := g.login(t, "ann")
		_, other := g.login(t, "ann")
		link, err := g.MakePasswordLink(t.Context(), g.admin, "ann")
		require.NoError(t, err)
		const fresh = "nine red balloons"
		err = g.ChangePassword(t.Context(), here, "wrong", fresh)
		requireCode(t, models.Forbidden, err)
		require.Equal(t, "current", models.AsError(err).Field)
		requireCode(t, models.Invalid, g.ChangePassword(t.Context(), here, goodPassword, "short"))
		require.NoError(t, g.ChangePassword(t.Context(), here, goodPassword, fresh))
		_, err = g.ActorBySession(t.Context(), mine)
		require.NoError(t, err)
		_, err = g.ActorBySession(t.Context(), other)
		requireCode(t, models.Unauthorized, err)
		_, _, err = g.Login(t.Context(), Credentials{Login: "ann", Password: goodPassword})
		requireCode(t, models.Unauthorized, err)
		_, err = g.UsePasswordLink(t.Context(), link.URL[strings.LastIndexByte(link.URL, '/')+1:], fresh, "")
		requireCode(t, models.Forbidden, err)
		row, err := g.Store.User(t.Context(), ann.ID)
		require.NoError(t, err)
		require.NotContains(t, row.PasswordHash, fresh)
		require.NotContains(t, g.facts(t)+g.logged.String(), fresh)
		reader := here
		reader.Scopes = models.Scopes{models.ScopeRead}
		requireCode(t, models.Forbidden, g.ChangePassword(t.Context(), reader, fresh, goodPassword))
	})
}

func TestAccountChange(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		g.person(t, "bob")
		ann, _ := g.login(t, "ann")
		before, err := g.Account(t.Context(), ann)
		require.NoError(t, err)
		email, taken, wrong, none := "Lee@Example.com", "bob@example.com", "nothing", ""
		after, err := g.ChangeAccount(t.Context(), ann, before.Revision(), AccountChange{&email})
		require.NoError(t, err)
		require.Equal(t, "lee@example.com", *after.Email)
		_, err = g.ChangeAccount(t.Context(), ann, before.Revision(), AccountChange{&none})
		requireCode(t, models.Stale, err)
		_, err = g.ChangeAccount(t.Context(), ann, "", AccountChange{&taken})
		requireCode(t, models.Conflict, err)
		require.Equal(t, "email", models.AsError(err).Field)
		_, err = g.ChangeAccount(t.Context(), ann, "", AccountChange{&wrong})
		requireCode(t, models.Invalid, err)
		after, err = g.ChangeAccount(t.Context(), ann, after.Revision(), AccountChange{&none})
		require.NoError(t, err)
		require.Nil(t, after.Email)
	})
}

func TestUsers(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		made, link, err := g.CreateUser(t.Context(), g.admin, NewUser{Name: "bob", Email: "Bob@example.com"})
		require.NoError(t, err)
		_, err = g.Store.OrganisationByName(t.Context(), "bob")
		require.NoError(t, err)
		_, err = g.UsePasswordLink(t.Context(), link.URL[strings.LastIndexByte(link.URL, '/')+1:], goodPassword, "")
		require.NoError(t, err)
		bob, cookie := g.login(t, "bob")
		for _, wanted := range []NewUser{{Name: "bob"}, {Name: "other", Email: "bob@example.com"}} {
			_, _, err := g.CreateUser(t.Context(), g.admin, wanted)
			requireCode(t, models.Conflict, err)
			require.NotEmpty(t, models.AsError(err).Field)
		}
		for _, wanted := range []NewUser{{Name: "Bob Smith"}, {Name: "x", Email: "no"}, {}} {
			_, _, err := g.CreateUser(t.Context(), g.admin, wanted)
			requireCode(t, models.Invalid, err)
		}
		_, err = g.Users(t.Context(), bob, UsersAsked{}, models.PageRequest{})
		requireCode(t, models.Forbidden, err)
		_, _, err = g.CreateUser(t.Context(), bob, NewUser{Name: "eve", Admin: true})
		requireCode(t, models.Forbidden, err)
		yes, no := true, false
		for want, asked := range map[string]UsersAsked{"bob": {Search: "BOB@"}, "admin": {Admin: &yes}} {
			page, err := g.Users(t.Context(), g.admin, asked, models.PageRequest{})
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			require.Equal(t, want, page.Items[0].Name)
		}
		seen, err := g.User(t.Context(), g.admin, "bob")
		require.NoError(t, err)
		_, err = g.ChangeUser(t.Context(), g.admin, "bob", seen.Revision(), UserChange{Admin: &yes})
		require.NoError(t, err)
		_, err = g.ChangeUser(t.Context(), g.admin, "bob", seen.Revision(), UserChange{Admin: &no})
		requireCode(t, models.Stale, err)
		_, err = g.ChangeUser(t.Context(), g.admin, "bob", "", UserChange{Disabled: &yes, Admin: &no})
		require.NoError(t, err)
		_, err = g.ActorBySession(t.Context(), cookie)
		requireCode(t, models.Unauthorized, err)
		for _, change := range []UserChange{{Admin: &no}, {Disabled: &yes}} {
			_, err = g.ChangeUser(t.Context(), g.admin, "admin", "", change)
			require.ErrorContains(t, err, "at least one admin")
		}
		err = g.DeleteUser(t.Context(), g.admin, "bob")
		require.ErrorContains(t, err, "bob is the last owner of bob")
		home, err := g.Store.OrganisationByName(t.Context(), "bob")
		require.NoError(t, err)
		app := models.App{
			ID: models.NewID(), Name: "shop", CreatorID: made.ID, OrganisationID: home.ID, DeployBranch: "main", Formation: models.Formation{"web": 1},
		}
		require.NoError(t, g.Store.CreateApp(t.Context(), &app))
		require.NoError(t, g.Store.CreateMembership(t.Context(), &models.Membership{
			ID: models.NewID(), OrganisationID: home.ID, UserID: g.admin.UserID, Role: models.RoleOwner, CreatedAt: now(),
		}))
		require.NoError(t, g.DeleteUser(t.Context(), g.admin, "bob"))
		kept, err := g.Store.App(t.Context(), app.ID)
		require.NoError(t, err)
		require.Equal(t, g.admin.UserID, kept.CreatorID)
		requireCode(t, models.NotFound, g.DeleteUser(t.Context(), g.admin, "bob"))
		require.Error(t, g.DeleteUser(t.Context(), g.admin, "admin"))
		require.Contains(t, g.facts(t), "user.delete admin")
	})
}

// TestLastAdminsInParallel: two admins who demote each other leave one.
func TestLastAdminsInParallel(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		_, _, err := g.CreateUser(t.Context(), g.admin, NewUser{Name: "bob", Admin: true})
		require.NoError(t, err)
		no := false
		var group sync.WaitGroup
		for _, name := range []string{"admin", "bob"} {
			group.Go(func() { _, _ = g.ChangeUser(t.Context(), g.admin, name, "", UserChange{Admin: &no}) })
		}
		group.Wait()
		yes := true
		page, err := g.Users(t.Context(), g.admin, UsersAsked{Admin: &yes}, models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
	})
}
