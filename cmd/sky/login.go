package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const defaultServer = "http://127.0.0.1:8080"

// serverAddress returns the address that a command names, or SKY_URL, or this machine.
func serverAddress(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	if value := os.Getenv("SKY_URL"); value != "" {
		return value
	}
	return defaultServer
}

func (c *cli) loginCommand() *cobra.Command {
	tokenFile, user := "", ""
	command := &cobra.Command{
		Use: "login [URL]", Short: "Log in to a Sky server with a password or an API token",
		Long: "Log in to a Sky server. With --user it asks for a password, and makes an API token of this\n" +
			"machine's own, which `sky logout` revokes. Otherwise it takes an API token: from --token-file,\n" +
			"SKY_TOKEN or standard input.",
		Example: "  sky login https://sky.example.com --user ann\n  sky login http://127.0.0.1:8080 --token-file DATA/admin-token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if user != "" {
				return c.passwordLogin(command.Context(), serverAddress(args), user)
			}
			return c.tokenLogin(command.Context(), serverAddress(args), tokenFile)
		},
	}
	command.Flags().StringVar(&tokenFile, "token-file", "", "file that holds the token; by default it is asked for")
	command.Flags().StringVar(&user, "user", "", "log in with a password: your name or e-mail address")
	return command
}

// tokenLogin keeps an API token that somebody made.
func (c *cli) tokenLogin(ctx context.Context, server, file string) error {
	token, err := c.readToken(file)
	if err != nil {
		return err
	}
	client := &v1.Client{URL: server, Token: token, HTTP: http.DefaultClient}
	who, err := client.Whoami(ctx)
	if err != nil {
		return err
	}
	if err := keepLogin(login{URL: server, Token: token}); err != nil {
		return err
	}
	return did(c, who, nil, "logged in to %s as %s", server, who.Name)
}

// ask reads a line: from the terminal, where it is not shown when it is secret,
// or else the next one of standard input.
func (c *cli) ask(prompt string, secret bool) (string, error) {
	input, ok := c.in.(*os.File)
	terminal := ok && term.IsTerminal(int(input.Fd()))
	if terminal {
		fmt.Fprint(c.err, prompt)
	}
	if terminal && secret {
		text, err := term.ReadPassword(int(input.Fd()))
		fmt.Fprintln(c.err)
		return string(text), err
	}
	if c.lines == nil {
		c.lines = bufio.NewReader(c.in)
	}
	line, err := c.lines.ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line != "" || err == nil {
		return line, nil
	}
	if errors.Is(err, io.EOF) {
		return "", fmt.Errorf("standard input ended before %q", strings.TrimRight(prompt, ": "))
	}
	return "", fmt.Errorf("read standard input: %w", err)
}

// newPassword asks for a password, and on a terminal for the same again.
func (c *cli) newPassword() (string, error) {
	password, err := c.ask("New password: ", true)
	if input, ok := c.in.(*os.File); err != nil || !ok || !term.IsTerminal(int(input.Fd())) {
		return password, err
	}
	again, err := c.ask("The same again: ", true)
	if err == nil && again != password {
		err = errors.New("the two passwords are not the same")
	}
	return password, err
}

// passwordLogin makes an API token of this machine's own, by a password, and
// keeps that.
func (c *cli) passwordLogin(ctx context.Context, server, user string) error {
	password, err := c.ask("Password: ", true)
	if err != nil {
		return err
	}
	anybody := &v1.Client{URL: server, HTTP: http.DefaultClient}
	session, err := anybody.Login(ctx, v1.Login{Login: user, Password: password})
	if problem := (*v1.Problem)(nil); errors.As(err, &problem) && problem.Field == "code" {
		code, asked := c.ask("Code: ", false)
		if asked != nil {
			return asked
		}
		session, err = anybody.Login(ctx, v1.Login{Login: user, Password: password, Code: code})
	}
	if err != nil {
		return err
	}
	return c.keepToken(ctx, session)
}

// keepToken exchanges a session for an API token, keeps that and ends the
// session.
func (c *cli) keepToken(ctx context.Context, session *v1.Client) error {
	who, err := session.Whoami(ctx)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	scopes := []string{"write", "billing"}
	if who.Admin {
		scopes = []string{"admin"}
	}
	token, err := session.CreateToken(ctx, v1.NewToken{Name: "cli on " + host, Scopes: scopes})
	if err != nil {
		return fmt.Errorf("make a token for this machine: %w", err)
	}
	if err := session.EndSession(ctx, "current"); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	if err := keepLogin(login{URL: session.URL, Token: token.Text, Own: true}); err != nil {
		return err
	}
	return did(c, who, nil, "logged in to %s as %s", session.URL, who.Name)
}

// logoutCommand forgets what login kept. A token that login made is revoked too;
// one that was given stays good.
func (c *cli) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Log out, and revoke this machine's token", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			path, err := loginFile()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) {
				return errors.New("you are not logged in here")
			}
			kept := login{}
			if err == nil {
				err = json.Unmarshal(text, &kept)
			}
			if err != nil {
				return fmt.Errorf("read what login kept: %w", err)
			}
			if err := revokeKept(command.Context(), kept); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("forget the login: %w", err)
			}
			return c.gone(nil, "logged out of %s", kept.URL)
		},
	}
}

func revokeKept(ctx context.Context, kept login) error {
	if !kept.Own {
		return nil
	}
	client := &v1.Client{URL: kept.URL, Token: kept.Token, HTTP: http.DefaultClient}
	err := client.RevokeToken(ctx, "current")
	if problem := (*v1.Problem)(nil); errors.As(err, &problem) && problem.Status == http.StatusUnauthorized {
		return nil // it is good no more already
	}
	return err
}

// setupCommand uses a one-time link without a browser.
func (c *cli) setupCommand() *cobra.Command {
	wanted := v1.Setup{}
	command := &cobra.Command{
		Use: "setup LINK", Short: "Set the first admin up, or a password, by a one-time link", Args: cobra.ExactArgs(1),
		Example: "  sky setup https://sky.example.com/setup/TOKEN --name ann --email ann@example.com",
		RunE: func(command *cobra.Command, args []string) error {
			server, purpose, token, err := splitLink(args[0])
			if err != nil {
				return err
			}
			if purpose == "setup" && wanted.Email == "" {
				if wanted.Email, err = c.ask("E-mail address: ", false); err != nil {
					return err
				}
			}
			if wanted.Password, err = c.newPassword(); err != nil {
				return err
			}
			client := &v1.Client{URL: server, HTTP: http.DefaultClient}
			var account v1.Account
			if purpose == "setup" {
				wanted.Token = token
				account, err = client.Setup(command.Context(), wanted)
			} else {
				account, err = client.UsePasswordLink(command.Context(), v1.PasswordByLink{Token: token, Password: wanted.Password})
			}
			return did(c, account, err, "you are %s; log in with: sky login %s --user %s", account.Name, server, account.Name)
		},
	}
	command.Flags().StringVar(&wanted.Name, "name", "", "your user name; by default it stays as it is")
	command.Flags().StringVar(&wanted.Email, "email", "", "your e-mail address; by default it is asked for")
	return command
}

// splitLink takes a one-time link apart.
func splitLink(link string) (server, purpose, token string, err error) {
	address, err := url.Parse(link)
	wrong := usagef("%q is no one-time link such as https://sky.example.com/setup/TOKEN", link)
	if err != nil || address.Host == "" {
		return "", "", "", wrong
	}
	parts := strings.Split(strings.Trim(address.Path, "/"), "/")
	if len(parts) != 2 || (parts[0] != "setup" && parts[0] != "password") {
		return "", "", "", wrong
	}
	return address.Scheme + "://" + address.Host, parts[0], parts[1], nil
}
