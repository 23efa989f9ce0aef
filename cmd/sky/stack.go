package main

import (
	"fmt"
	"strings"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/spf13/cobra"
)

func stackCommand(s streams) *cobra.Command {
	config := &serverConfig{}
	verbose := false
	command := &cobra.Command{
		Use: "stack LANGUAGE[:VERSION] ...", Short: "Make base images from Debian packages, for servers that can pull none",
		Example: "  sky stack node:22 go:1.26 python:3.11 php:8.2 static:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, languages []string) error {
			extraCA, err := config.readCA()
			if err != nil {
				return err
			}
			builder, err := buildpipeline.New(buildpipeline.Config{DockerHost: config.dockerHost, ExtraCA: extraCA})
			if err != nil {
				return err
			}
			defer func() { _ = builder.Close() }()
			if err := builder.Check(command.Context()); err != nil {
				return err
			}
			for _, language := range languages {
				kind, version, _ := strings.Cut(language, ":")
				if err := builder.Stack(command.Context(), kind, version, printer{s, verbose}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	command.Flags().StringVar(&config.dockerHost, "docker-host", "", "Docker's address; empty as the docker command finds it")
	command.Flags().StringVar(&config.extraCA, "extra-ca", "", "PEM file of certificate authorities that builds trust too")
	command.Flags().BoolVarP(&verbose, "verbose", "v", false, "show all output")
	return command
}

// printer shows a build's log as it comes.
type printer struct {
	streams
	verbose bool
}

// Say implements buildpipeline.Log.
func (p printer) Say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// Detail implements buildpipeline.Log.
func (p printer) Detail(text string) {
	if p.verbose {
		fmt.Fprintln(p.out, text)
	}
}
