package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/buildpacks"
)

// peerBuild builds with the docker command from a directory, as people do.
type peerBuild struct {
	contest *contest
	peer    string
	dir     string
	round   int
	built   int
}

func (p *peerBuild) name() string { return p.peer }

// begin makes a directory of the round's own, with the Dockerfile.
func (p *peerBuild) begin() error {
	p.round++
	if err := os.MkdirAll(p.work(), 0o755); err != nil {
		return err
	}
	text, err := p.dockerfile()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.work(), "Dockerfile"), []byte(text), 0o644)
}

func (p *peerBuild) work() string { return filepath.Join(p.dir, fmt.Sprint(p.round)) }

// dockerfile trusts what Sky's own builds trust.
func (p *peerBuild) dockerfile() (string, error) {
	text := p.contest.peers[p.peer]
	if p.contest.ca == nil {
		return text, nil
	}
	mounted, err := buildpacks.MountCA([]byte(text))
	if err != nil {
		return "", err
	}
	var trusting strings.Builder
	for line := range strings.Lines(string(mounted)) {
		trusting.WriteString(line)
		if strings.HasPrefix(line, "FROM ") {
			fmt.Fprintf(&trusting, "ENV NODE_EXTRA_CA_CERTS=%[1]s PIP_CERT=%[1]s SSL_CERT_FILE=%[1]s\n", systemCA)
		}
	}
	return trusting.String(), nil
}

const systemCA = "/etc/ssl/certs/ca-certificates.crt"

func (p *peerBuild) build(ctx context.Context, files map[string]string, fresh bool) (string, error) {
	if err := p.write(files); err != nil {
		return "", err
	}
	p.built++
	arguments := []string{"build", "-q", "-t", p.image(p.built),
		// Caches of the round's own, as Sky's are of the App's own.
		"--build-arg", "BUILDKIT_CACHE_MOUNT_NS=" + p.work()}
	if p.contest.ca != nil {
		arguments = append(arguments, "--secret", "id="+buildpacks.CASecret+",src="+os.Getenv("SKY_EXTRA_CA"))
	}
	if fresh {
		arguments = append(arguments, "--no-cache")
	}
	return p.contest.docker.Run(ctx, append(arguments, p.work())...)
}

// write writes the files that changed, as a checkout does.
func (p *peerBuild) write(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(p.work(), name)
		if before, err := os.ReadFile(path); err == nil && string(before) == text {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (p *peerBuild) image(number int) string {
	return fmt.Sprintf("sky-bench-build-%s-%s:%d", p.contest.app.name, p.peer, number)
}

func (p *peerBuild) clean(ctx context.Context) error {
	var errs []error
	for number := range p.built {
		name := p.image(number + 1)
		if _, err := p.contest.docker.Run(ctx, "image", "inspect", "--format", "{{.Id}}", name); err != nil {
			continue // its build failed
		}
		_, err := p.contest.docker.Run(ctx, "rmi", name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
