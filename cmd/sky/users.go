package main

import (
	"context"
	"fmt"
	"strconv"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) adminUsers() *cobra.Command {
	return group("users", "Manage who may use Sky",
		c.usersList(), c.usersAdd(), c.usersSet(),
		c.verb("rm NAME", "Delete one", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			return c.gone(client.DeleteUser(ctx, args[0]), "deleted %s", args[0])
		}),
		c.verb("password-link NAME", "Make a one-time link to set a password with", cobra.ExactArgs(1),
			func(ctx context.Context, client *v1.Client, args []string) error {
				link, err := client.MakePasswordLink(ctx, args[0])
				return did(c, link, err, "%s", link.URL)
			}),
	)
}

func userRow(user v1.User) []string {
	state := "active"
	if user.Disabled {
		state = "disabled"
	}
	return []string{user.Name, user.Email, fmt.Sprint(user.Admin), fmt.Sprint(user.TOTP), state, ago(user.CreatedAt)}
}

const userHeadings = "NAME\tE-MAIL\tADMIN\tTWO FACTORS\tSTATE\tSINCE"

func (c *cli) usersList() *cobra.Command {
	search, admin, disabled := "", "", ""
	command := c.verb("list", "List them", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		filter := v1.UserFilter{Search: search}
		for flag, given := range map[string]struct {
			text string
			to   **bool
		}{"admin": {admin, &filter.Admin}, "disabled": {disabled, &filter.Disabled}} {
			if err := optional(flag, given.text, given.to); err != nil {
				return err
			}
		}
		users, err := client.Users(ctx, filter)
		return listed(c, users, err, userHeadings, userRow)
	})
	command.Flags().StringVar(&search, "search", "", "part of a name or e-mail address")
	command.Flags().StringVar(&admin, "admin", "", "true or false: only admins, or only others")
	command.Flags().StringVar(&disabled, "disabled", "", "true or false: only disabled ones, or only others")
	return command
}

// optional reads a flag that is true, false, or not given.
func optional(flag, text string, to **bool) error {
	if text == "" {
		return nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return usagef("--%s %q: use true or false", flag, text)
	}
	*to = &value
	return nil
}

func (c *cli) usersAdd() *cobra.Command {
	wanted := v1.NewUser{}
	command := c.verb("add NAME", "Let somebody in; the link sets their password, once", cobra.ExactArgs(1),
		func(ctx context.Context, client *v1.Client, args []string) error {
			wanted.Name = args[0]
			made, err := client.CreateUser(ctx, wanted)
			return did(c, made, err, "%s", made.PasswordLink.URL)
		})
	command.Flags().StringVar(&wanted.Email, "email", "", "their e-mail address")
	command.Flags().BoolVar(&wanted.Admin, "admin", false, "let them manage the platform")
	return command
}

func (c *cli) usersSet() *cobra.Command {
	email, admin, disabled, reset := "", "", "", false
	command := c.verb("set NAME", "Change one", cobra.ExactArgs(1), nil)
	command.RunE = func(command *cobra.Command, args []string) error {
		change := v1.UserChange{ResetTOTP: reset}
		if command.Flags().Changed("email") {
			change.Email = &email
		}
		if err := optional("admin", admin, &change.Admin); err != nil {
			return err
		}
		if err := optional("disabled", disabled, &change.Disabled); err != nil {
			return err
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		user, err := client.ChangeUser(command.Context(), args[0], change)
		return listed(c, []v1.User{user}, err, userHeadings, userRow)
	}
	command.Flags().StringVar(&email, "email", "", "their e-mail address; empty removes it")
	command.Flags().StringVar(&admin, "admin", "", "true or false: whether they manage the platform")
	command.Flags().StringVar(&disabled, "disabled", "", "true or false: whether they are refused")
	command.Flags().BoolVar(&reset, "reset-totp", false, "turn two factors off, for who lost the second")
	return command
}
