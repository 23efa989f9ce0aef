package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/spf13/cobra"
)

// detected is what `sky detect` tells.
type detected struct {
	Buildpack  string           `json:"buildpack"`
	Language   string           `json:"language"`
	Version    string           `json:"version,omitempty"` // as it is asked for; the server's default without
	Source     string           `json:"version_source,omitempty"`
	Reasons    []string         `json:"reasons"`
	Processes  models.Processes `json:"processes"`
	Scripts    models.Processes `json:"scripts"`
	Port       int              `json:"port"`
	HealthPath string           `json:"health_path,omitempty"`
	Required   []string         `json:"required_variables"`
	Dockerfile string           `json:"dockerfile,omitempty"`
}

// detectCommand runs detection here, without a server.
func (c *cli) detectCommand() *cobra.Command {
	options := buildpacks.Options{}
	config, whole := map[string]string{}, false
	command := &cobra.Command{
		Use: "detect [DIR]", Short: "Say how the app in a directory would be built, and why; it asks no server", Args: cobra.MaximumNArgs(1),
		Long: "Detect looks at the files as they lie there; a push sees only what is committed. A server may have\n" +
			"other settings for the app: pass those that matter.",
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			options.Config = config
			found, err := detect(dir, options, whole)
			if err != nil {
				return err
			}
			return c.show(found, func() { c.detected(found) })
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Buildpack, "buildpack", "", "force one")
	flags.StringVar(&options.Root, "root-dir", "", "the directory that holds the app")
	flags.StringVar(&options.StartCommand, "start-command", "", "starts web where no Procfile does")
	flags.StringVar(&options.BuildCommand, "build-command", "", "in place of the buildpack's")
	flags.StringToStringVar(&config, "env", nil, "variables of the app's config, such as NODE_VERSION=22")
	flags.BoolVar(&whole, "dockerfile", false, "print the Dockerfile too; its base images are the server's to choose")
	return command
}

func detect(dir string, options buildpacks.Options, whole bool) (detected, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return detected{}, usagef("%s is no directory", dir)
	}
	files := os.DirFS(dir)
	plan, err := buildpacks.Detect(files, options)
	if err != nil {
		return detected{}, err
	}
	found := detected{
		Buildpack: plan.Buildpack, Language: plan.Language, Reasons: plan.Reasons, Processes: plan.Processes, Scripts: plan.Scripts,
		Port: plan.Port, HealthPath: plan.HealthPath, Required: []string{},
	}
	if plan.Need != nil {
		found.Version, found.Source = plan.Need.Constraint, plan.Need.Source
	}
	if whole && plan.Render != nil {
		tools := map[string]string{}
		for _, tool := range plan.Tools {
			tools[tool.Type] = "$" + strings.ToUpper(tool.Type)
		}
		found.Dockerfile = plan.Render(buildpacks.Images{Build: "$BUILD", Run: "$RUN", Tools: tools})
	}
	manifest, err := buildpacks.ReadManifest(files, options.Root)
	for _, variable := range manifest.Variables {
		if variable.Required {
			found.Required = append(found.Required, variable.Key)
		}
	}
	return found, err
}

func (c *cli) detected(found detected) {
	version := ""
	if found.Version != "" {
		version = fmt.Sprintf(" %s, which %s asks for", found.Version, found.Source)
	}
	say := func(heading, text string) { fmt.Fprintln(c.out, narrative.Field(heading, text)) }
	say("Detect", found.Language+version)
	for _, reason := range found.Reasons {
		say("", "- "+reason)
	}
	for _, process := range slices.Sorted(maps.Keys(found.Processes)) {
		command := "as the image starts by itself"
		if len(found.Processes[process]) > 0 {
			command = narrative.Command(found.Processes[process])
		}
		if process == models.WebProcess {
			command += fmt.Sprintf(" (port %d)", found.Port)
		}
		say("Process", process+": "+command)
	}
	for _, script := range slices.Sorted(maps.Keys(found.Scripts)) {
		say("Command", script+": "+narrative.Command(found.Scripts[script]))
	}
	if len(found.Required) > 0 {
		say("Needs", strings.Join(found.Required, ", "))
	}
	if found.Dockerfile != "" {
		fmt.Fprintf(c.out, "\n%s", found.Dockerfile)
	}
}
