package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) tokensCommand() *cobra.Command {
	return group("tokens", "Manage your API tokens",
		c.verb("list", "List yours", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			tokens, err := client.Tokens(ctx)
			return listed(c, tokens, err, "NAME\tSCOPES\tORGANISATION\tEXPIRES\tUSED\tID", tokenRow)
		}),
		c.tokensCreate(),
		c.verb("rm TOKEN", "Revoke one by its id or name, at once", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			id, err := tokenID(ctx, client, args[0])
			if err != nil {
				return err
			}
			return c.gone(client.RevokeToken(ctx, id), "revoked %s", args[0])
		}),
	)
}

func tokenRow(token v1.Token) []string {
	organisation := token.Organisation
	if organisation == "" {
		organisation = "all"
	}
	return []string{token.Name, strings.Join(token.Scopes, " "), organisation, when(token.ExpiresAt), when(token.UsedAt), token.ID}
}

// when tells a time that there may not be.
func when(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return at.Local().Format("2006-01-02 15:04")
}

// tokenID returns the id of the token that text is the id or the name of.
func tokenID(ctx context.Context, client *v1.Client, text string) (string, error) {
	tokens, err := client.Tokens(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, token := range tokens {
		if token.ID == text {
			return text, nil
		}
		if token.Name == text {
			found = append(found, token.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("you have no token %q: `sky tokens list` shows yours", text)
	case 1:
		return found[0], nil
	default:
		return "", usagef("%d tokens are named %q: pass the id", len(found), text)
	}
}

func (c *cli) tokensCreate() *cobra.Command {
	wanted, life := v1.NewToken{}, time.Duration(0)
	command := c.verb("create NAME", "Make one; its text is shown once", cobra.ExactArgs(1),
		func(ctx context.Context, client *v1.Client, args []string) error {
			wanted.Name, wanted.Organisation = args[0], c.org
			if life > 0 {
				until := time.Now().Add(life).UTC()
				wanted.ExpiresAt = &until
			}
			made, err := client.CreateToken(ctx, wanted)
			return did(c, made, err, "%s", made.Text)
		})
	command.Flags().StringSliceVar(&wanted.Scopes, "scope", []string{"read"}, "what it may do: read, deploy, write, billing, admin")
	command.Flags().DurationVar(&life, "expires", 0, "how long it lives, such as 720h; by default until it is revoked")
	c.orgFlag(command, &c.org, "limits it to one organisation; by default all of yours")
	return command
}

func (c *cli) sessionsCommand() *cobra.Command {
	return group("sessions", "Manage where you are logged in",
		c.verb("list", "List yours", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			sessions, err := client.Sessions(ctx)
			return listed(c, sessions, err, "CLIENT\tADDRESS\tSEEN\tBEGUN\tID", func(session v1.Session) []string {
				return []string{session.Client, session.Address, ago(session.SeenAt), ago(session.CreatedAt), session.ID}
			})
		}),
		c.verb("rm ID", "End one, at once", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			return c.gone(client.EndSession(ctx, args[0]), "ended %s", args[0])
		}),
	)
}

func (c *cli) accountCommand() *cobra.Command {
	show := c.verb("account", "Show your account", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		account, err := client.Account(ctx)
		return c.account(account, err)
	})
	show.AddCommand(
		c.verb("email ADDRESS", "Change your e-mail address", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			account, err := client.ChangeAccount(ctx, v1.AccountChange{Email: &args[0]})
			return c.account(account, err)
		}),
		c.verb("password", "Change your password", cobra.NoArgs, c.changePassword),
		group("totp", "Manage your second factor",
			c.verb("enable", "Turn two factors on", cobra.NoArgs, c.enableTOTP),
			c.verb("disable", "Turn two factors off", cobra.NoArgs, c.disableTOTP)))
	return show
}

func (c *cli) account(account v1.Account, err error) error {
	if err != nil {
		return err
	}
	return c.show(account, func() {
		c.table("NAME\tE-MAIL\tADMIN\tTWO FACTORS\tSINCE", [][]string{{
			account.Name, account.Email, fmt.Sprint(account.Admin), fmt.Sprint(account.TOTP), ago(account.CreatedAt),
		}})
	})
}

func (c *cli) changePassword(ctx context.Context, client *v1.Client, _ []string) error {
	current, err := c.ask("Current password: ", true)
	if err != nil {
		return err
	}
	fresh, err := c.newPassword()
	if err != nil {
		return err
	}
	return c.gone(client.ChangePassword(ctx, v1.PasswordChange{Current: current, New: fresh}), "your password is changed; other sessions ended")
}

func (c *cli) enableTOTP(ctx context.Context, client *v1.Client, _ []string) error {
	pending, err := client.BeginTOTP(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "Add this to your authenticator:\n  %s\nor type in its secret:\n  %s\n", pending.URL, pending.Secret)
	code, err := c.ask("Code: ", false)
	if err != nil {
		return err
	}
	recovery, err := client.ConfirmTOTP(ctx, code)
	return did(c, recovery, err, "two factors are on; each of these codes stands in once:\n%s", strings.Join(recovery.Codes, "\n"))
}

func (c *cli) disableTOTP(ctx context.Context, client *v1.Client, _ []string) error {
	password, err := c.ask("Password: ", true)
	if err != nil {
		return err
	}
	code, err := c.ask("Code: ", false)
	if err != nil {
		return err
	}
	return c.gone(client.EndTOTP(ctx, v1.TOTPEnd{Password: password, Code: code}), "two factors are off")
}
