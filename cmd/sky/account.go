package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (c *cli) loginCommand() *cobra.Command {
	tokenFile := ""
	command := &cobra.Command{
		Use: "login [URL]", Short: "Log in to a Sky server with an API token",
		Example: "  sky login http://127.0.0.1:8080 --token-file DATA/admin-token\n  sky login https://sky.example.com < token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			server := "http://127.0.0.1:8080"
			if value := os.Getenv("SKY_URL"); value != "" {
				server = value
			}
			if len(args) == 1 {
				server = args[0]
			}
			token, err := c.readToken(tokenFile)
			if err != nil {
				return err
			}
			client := &v1.Client{URL: server, Token: token, HTTP: http.DefaultClient}
			who, err := client.Whoami(command.Context())
			if err != nil {
				return err
			}
			if err := keepLogin(login{URL: server, Token: token}); err != nil {
				return err
			}
			return c.show(who, func() { fmt.Fprintf(c.out, "logged in to %s as %s\n", server, who.Name) })
		},
	}
	command.Flags().StringVar(&tokenFile, "token-file", "", "file that holds the token; by default it is asked for")
	return command
}

// readToken reads the token from a file, the environment or the terminal, where
// it is not shown.
func (c *cli) readToken(file string) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if token := os.Getenv("SKY_TOKEN"); token != "" {
		return token, nil
	}
	return c.secret("API token: ")
}

// secret asks for something that is not shown: on the terminal, or else as a
// line of standard input.
func (c *cli) secret(prompt string) (string, error) {
	if input, ok := c.in.(*os.File); ok && term.IsTerminal(int(input.Fd())) {
		fmt.Fprint(c.err, prompt)
		text, err := term.ReadPassword(int(input.Fd()))
		fmt.Fprintln(c.err)
		return strings.TrimSpace(string(text)), err
	}
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("nothing on standard input for %q: %w", strings.TrimSuffix(prompt, ": "), err)
	}
	return line, nil
}

func keepLogin(kept login) error {
	path, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}

func (c *cli) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show who you are logged in as", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			who, err := client.Whoami(command.Context())
			if err != nil {
				return err
			}
			return c.show(who, func() { fmt.Fprintf(c.out, "%s at %s\n", who.Name, client.URL) })
		},
	}
}

func (c *cli) keysCommand() *cobra.Command {
	command := &cobra.Command{Use: "keys", Short: "Manage the SSH keys that may push"}
	command.AddCommand(c.keysAdd(), c.keysList(), c.keysRemove())
	return command
}

func (c *cli) keysAdd() *cobra.Command {
	name := ""
	command := &cobra.Command{
		Use: "add FILE", Short: "Add a public key", Example: "  sky keys add ~/.ssh/id_ed25519.pub", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the key: %w", err)
			}
			key, err := client.AddKey(command.Context(), v1.NewKey{Name: name, PublicKey: string(text)})
			if err != nil {
				return err
			}
			return c.show(key, func() { fmt.Fprintf(c.out, "added %s %s\n", key.Name, key.Fingerprint) })
		},
	}
	command.Flags().StringVar(&name, "name", "", "the key's name; by default its comment")
	return command
}

func (c *cli) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your keys", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			keys, err := client.Keys(command.Context())
			if err != nil {
				return err
			}
			return c.show(keys, func() {
				var rows [][]string
				for _, key := range keys {
					rows = append(rows, []string{key.Name, key.Fingerprint, ago(key.CreatedAt)})
				}
				c.table("NAME\tFINGERPRINT\tADDED", rows)
			})
		},
	}
}

func (c *cli) keysRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Remove a key by its name or fingerprint", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if err := client.RemoveKey(command.Context(), args[0]); err != nil {
				return err
			}
			return c.show(struct{}{}, func() { fmt.Fprintf(c.out, "removed %s\n", args[0]) })
		},
	}
}
