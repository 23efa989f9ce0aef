package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) orgsCommand() *cobra.Command {
	return group("orgs", "Manage your organisations",
		c.verb("list", "List yours", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			mine, err := client.Organisations(ctx)
			return listed(c, mine, err, "NAME\tTITLE\tROLE\tSTATE", orgRow)
		}),
		c.orgsCreate(),
		c.verb("info NAME", "Show one", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			organisation, err := client.Organisation(ctx, args[0])
			return listed(c, []v1.Organisation{organisation}, err, "NAME\tTITLE\tROLE\tSTATE", orgRow)
		}),
		c.orgsRename(), c.orgsDestroy(), c.orgsActivity(), c.orgsNotifications(),
		c.orgsSignUp(),
		c.verb("join TOKEN", "Accept an invitation", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			organisation, err := client.AcceptInvitation(ctx, args[0])
			return did(c, organisation, err, "you are %s in %s", organisation.Role, organisation.Name)
		}),
	)
}

// orgsSignUp makes an account for who was invited and has none.
func (c *cli) orgsSignUp() *cobra.Command {
	wanted := v1.SignUp{}
	server := ""
	command := &cobra.Command{
		Use: "sign-up TOKEN", Short: "Make an account by an invitation; the password is asked for", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			password, err := c.secret("New password: ")
			if err != nil {
				return err
			}
			wanted.Token, wanted.Password = args[0], password
			client := &v1.Client{URL: server, HTTP: http.DefaultClient}
			account, err := client.SignUp(command.Context(), wanted)
			return did(c, account, err, "you are %s; log in with: sky login %s --user %s", account.Name, server, account.Name)
		},
	}
	command.Flags().StringVar(&wanted.Name, "name", "", "your user name")
	command.Flags().StringVar(&server, "url", "http://127.0.0.1:8080", "the server's address")
	return command
}

func orgRow(organisation v1.Organisation) []string {
	state := "active"
	if organisation.Suspended {
		state = "suspended: " + organisation.SuspendedReason
	}
	return []string{organisation.Name, organisation.Title, organisation.Role, state}
}

func (c *cli) orgsCreate() *cobra.Command {
	wanted := v1.NewOrganisation{}
	command := c.verb("create NAME", "Create an organisation that you own", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		wanted.Name = args[0]
		made, err := client.CreateOrganisation(ctx, wanted)
		return did(c, made, err, "created %s", made.Name)
	})
	command.Flags().StringVar(&wanted.Title, "title", "", "its name as people write it")
	return command
}

func (c *cli) orgsRename() *cobra.Command {
	name, title := "", ""
	command := c.verb("rename NAME", "Change an organisation's name or title", cobra.ExactArgs(1), nil)
	command.Flags().StringVar(&name, "name", "", "the new name")
	command.Flags().StringVar(&title, "title", "", "the new title")
	command.RunE = c.verb("", "", nil, func(ctx context.Context, client *v1.Client, args []string) error {
		change := v1.OrganisationChange{}
		if command.Flags().Changed("name") {
			change.Name = &name
		}
		if command.Flags().Changed("title") {
			change.Title = &title
		}
		changed, err := client.ChangeOrganisation(ctx, args[0], change)
		return did(c, changed, err, "changed %s", changed.Name)
	}).RunE
	return command
}

func (c *cli) orgsDestroy() *cobra.Command {
	confirm := ""
	command := c.verb("destroy NAME", "Destroy an organisation without apps", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		return c.gone(client.DestroyOrganisation(ctx, args[0], confirm), "destroyed %s", args[0])
	})
	command.Flags().StringVar(&confirm, "confirm", "", "repeat the organisation's name")
	return command
}

func (c *cli) orgsActivity() *cobra.Command {
	limit, follow := 50, false
	command := c.onOrg("activity", "Show who did what", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
		events, err := client.Activity(ctx, org, limit)
		if err := c.events(events, err); err != nil || !follow {
			return err
		}
		return client.FollowActivity(ctx, org, func(event v1.Event) error {
			return c.line(event, func() { fmt.Fprintln(c.out, strings.Join(eventRow(event), "  ")) })
		})
	})
	command.Flags().IntVarP(&limit, "lines", "n", 50, "how many")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return command
}

func (c *cli) events(events []v1.Event, err error) error {
	return listed(c, events, err, "WHEN\tWHO\tVIA\tWHAT\tDETAIL", eventRow)
}

func eventRow(event v1.Event) []string {
	return []string{event.CreatedAt.Local().Format("2006-01-02 15:04:05"), event.Actor, event.Via, event.Kind, event.Detail}
}

func (c *cli) orgsNotifications() *cobra.Command {
	read := false
	command := c.onOrg("notifications", "Show what the organisation was told", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
		told, err := client.Notifications(ctx, org, false)
		err = listed(c, told, err, "WHEN\tKIND\tTEXT", func(row v1.Notification) []string {
			return []string{ago(row.CreatedAt), row.Kind, row.Text}
		})
		if err != nil || !read || len(told) == 0 {
			return err
		}
		return client.ReadNotifications(ctx, org, told[0].ID)
	})
	command.Flags().BoolVar(&read, "read", false, "mark them as read")
	return command
}

func (c *cli) membersCommand() *cobra.Command {
	role := "developer"
	invite := c.onOrg("invite EMAIL", "Invite somebody", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, org string, args []string) error {
		made, err := client.Invite(ctx, org, v1.NewInvitation{Email: args[0], Role: role})
		return did(c, made, err, "invited %s as %s until %s; give them this, which is shown only now:\n  sky orgs join %s",
			made.Email, made.Role, made.ExpiresAt.Local().Format("2006-01-02 15:04"), made.Token)
	})
	invite.Flags().StringVar(&role, "role", "developer", "owner, admin, developer, viewer or billing")
	return group("members", "Manage an organisation's members",
		c.onOrg("list", "List members", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
			members, err := client.Members(ctx, org)
			return listed(c, members, err, "USER\tEMAIL\tROLE\tSINCE", func(row v1.Member) []string {
				return []string{row.User, row.Email, row.Role, ago(row.CreatedAt)}
			})
		}),
		invite,
		c.onOrg("invitations", "List open invitations", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
			open, err := client.Invitations(ctx, org)
			return listed(c, open, err, "ID\tEMAIL\tROLE\tUNTIL", func(row v1.Invitation) []string {
				return []string{row.ID, row.Email, row.Role, row.ExpiresAt.Local().Format("2006-01-02 15:04")}
			})
		}),
		c.onOrg("uninvite ID", "Withdraw an invitation", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, org string, args []string) error {
			return c.gone(client.Uninvite(ctx, org, args[0]), "withdrew the invitation")
		}),
		c.onOrg("role USER ROLE", "Give a member another role", cobra.ExactArgs(2), func(ctx context.Context, client *v1.Client, org string, args []string) error {
			member, err := client.ChangeMember(ctx, org, args[0], args[1])
			return did(c, member, err, "%s is %s", member.User, member.Role)
		}),
		c.onOrg("rm USER", "Remove a member, or leave", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, org string, args []string) error {
			return c.gone(client.RemoveMember(ctx, org, args[0]), "removed %s", args[0])
		}),
	)
}
