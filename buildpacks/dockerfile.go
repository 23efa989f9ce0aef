package buildpacks

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/skypanel/sky/models"
)

// defaultPort is where an app listens when its language has no custom of its
// own.
const defaultPort = 8080

// detectDockerfile lets the repository's own Dockerfile decide everything.
func detectDockerfile(src source) (*Plan, error) {
	text, ok, err := src.read("Dockerfile")
	if err != nil || !ok {
		return nil, err
	}
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, models.Errorf(models.Failed, "Dockerfile: %s", err).WithField("Dockerfile").
			WithRemedy("fix that line and push again")
	}
	plan := &Plan{
		Language: "Dockerfile", DockerfilePath: "Dockerfile", Port: defaultPort,
		Reasons:   []string{"the repository has a Dockerfile"},
		Processes: models.Processes{models.WebProcess: nil},
	}
	if port := exposedPort(result.AST); port != 0 {
		plan.Port = port
		plan.Reasons = append(plan.Reasons, fmt.Sprintf("port %d from EXPOSE", port))
	}
	return plan, nil
}

// exposedPort returns the first port of the last stage's EXPOSE, or 0.
func exposedPort(file *parser.Node) int {
	port := 0
	for _, node := range file.Children {
		switch strings.ToLower(node.Value) {
		case "from":
			port = 0
		case "expose":
			if port == 0 && node.Next != nil {
				number, _, _ := strings.Cut(node.Next.Value, "/")
				port, _ = strconv.Atoi(number)
			}
		}
	}
	return port
}

// MountCA adds the mount of a private certificate authority to every RUN of a
// Dockerfile. The mount is a secret, so that it leaves no trace in a layer.
func MountCA(dockerfile []byte) ([]byte, error) {
	result, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return nil, fmt.Errorf("parse Dockerfile: %w", err)
	}
	lines := strings.SplitAfter(string(dockerfile), "\n")
	for _, node := range result.AST.Children {
		if !strings.EqualFold(node.Value, "run") {
			continue
		}
		line := lines[node.StartLine-1]
		end := strings.Index(strings.ToLower(line), "run") + len("run")
		lines[node.StartLine-1] = line[:end] + " " + caMount + line[end:]
	}
	return []byte(strings.Join(lines, "")), nil
}

// CASecret is the id of the build secret that holds the extra certificate
// authorities, and caPath is where distributions keep theirs.
const (
	CASecret = "sky-ca"
	caPath   = "/etc/ssl/certs/ca-certificates.crt"
	caMount  = "--mount=type=secret,id=" + CASecret + ",target=" + caPath + ",mode=0444"
)
