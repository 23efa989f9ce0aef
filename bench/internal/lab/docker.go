package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Docker is a docker command that builds with BuildKit.
type Docker string

// FindDocker returns the first on the PATH that does: from version 23 on it
// needs the buildx plugin, which is not everywhere.
func FindDocker(ctx context.Context) (Docker, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		command := Docker(filepath.Join(dir, "docker"))
		text, err := command.Run(ctx, "version", "--format", "{{.Client.Version}}")
		if err != nil {
			continue
		}
		major, _, _ := strings.Cut(text, ".")
		if number, err := strconv.Atoi(major); err == nil && number < 23 {
			return command, nil
		}
		if _, err := command.Run(ctx, "buildx", "version"); err == nil {
			return command, nil
		}
	}
	return "", errors.New("no docker command on the PATH builds with BuildKit: install docker-buildx")
}

// Run returns what the command prints, and what it complains of as an error.
func (d Docker) Run(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, string(d), arguments...)
	command.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", arguments[0], err, failure.String())
	}
	return strings.TrimSpace(string(out)), nil
}
