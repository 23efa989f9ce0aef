package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

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

// secret asks for something that is not shown and has no spaces around it.
func (c *cli) secret(prompt string) (string, error) {
	text, err := c.ask(prompt, true)
	if err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fmt.Errorf("nothing was given for %q", strings.TrimSuffix(prompt, ": "))
	}
	return text, nil
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
