package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

// apiCommand asks the API directly, for what has no command of its own.
func (c *cli) apiCommand() *cobra.Command {
	data := ""
	var headers []string
	command := c.verb("api METHOD PATH", "Ask the API directly", cobra.ExactArgs(2), func(ctx context.Context, client *v1.Client, args []string) error {
		content, err := c.requestBody(data)
		if err != nil {
			return err
		}
		answer, err := client.Raw(ctx, strings.ToUpper(args[0]), args[1], content, headers)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if !strings.HasSuffix(answer.Header.Get("Content-Type"), "json") { // a stream, or nothing
			_, err = io.Copy(c.out, answer.Body)
			return err
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		var pretty bytes.Buffer
		if json.Indent(&pretty, text, "", "  ") == nil {
			text = append(bytes.TrimSpace(pretty.Bytes()), '\n')
		}
		_, err = c.out.Write(text)
		return err
	})
	command.Example = "  sky api GET /api/paas/plans\n  sky api PATCH /api/paas/applications/shop -d '{\"health_path\": \"/healthz\"}'"
	command.Flags().StringVarP(&data, "data", "d", "", "the body: JSON, @FILE, or - for standard input")
	command.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header, such as \"Idempotency-Key: 1\"")
	return command
}

func (c *cli) requestBody(data string) ([]byte, error) {
	switch {
	case data == "-":
		return io.ReadAll(c.in)
	case strings.HasPrefix(data, "@"):
		text, err := os.ReadFile(data[1:])
		if err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
		return text, nil
	default:
		return []byte(data), nil
	}
}
