package buildpacks

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/skypanel/sky/models"
)

// defaultPort is where an app listens when its language has no custom of its
// own.
const defaultPort = 8080

// detectDockerfile lets the repository's own Dockerfile decide everything. The
// App's settings may name another file than the root's, a stage to stop at, and
// build arguments.
func detectDockerfile(src source) (*Plan, error) {
	name := src.options.Dockerfile
	if name == "" {
		name = src.first("Dockerfile", "Containerfile")
	}
	name = path.Clean(strings.TrimPrefix(name, "/"))
	text, ok, err := src.read(name)
	if err == nil && !ok && src.options.Dockerfile != "" {
		err = models.Errorf(models.Failed, "the repository has no file %s", name).WithField("dockerfile").
			WithRemedy("the app's setting dockerfile names the Dockerfile, such as deploy/Dockerfile; an empty one is the root's")
	}
	if err != nil || !ok {
		return nil, err
	}
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, models.Errorf(models.Failed, "%s: %s", name, err).WithField(name).
			WithRemedy("fix that line and push again")
	}
	plan := &Plan{
		Language: "Dockerfile", DockerfilePath: name, Port: defaultPort,
		Reasons:   []string{"the repository has a " + name},
		Processes: models.Processes{models.WebProcess: nil},
		Target:    src.options.DockerTarget, BuildArgs: src.options.BuildArgs,
	}
	if err := checkTarget(result.AST, plan.Target); err != nil {
		return nil, err
	}
	if plan.Target != "" {
		plan.Reasons = append(plan.Reasons, "stage "+plan.Target)
	}
	if port := exposedPort(result.AST, plan.Target); port != 0 {
		plan.Port = port
		plan.Reasons = append(plan.Reasons, fmt.Sprintf("port %d from EXPOSE", port))
	}
	return plan, nil
}

// checkTarget refuses a stage that the file does not have.
func checkTarget(file *parser.Node, target string) error {
	var stages []string
	for _, node := range file.Children {
		if _, name := fromWords(node); strings.EqualFold(node.Value, "from") && name != "" {
			stages = append(stages, name)
		}
	}
	if target == "" || slices.Contains(stages, strings.ToLower(target)) {
		return nil
	}
	return models.Errorf(models.Failed, "the Dockerfile has no stage %s", target).WithField("docker_target").
		WithRemedy("name one of its stages: %s", strings.Join(stages, ", "))
}

// Prebuilt is the plan of an image that somebody else built: it starts as the
// App's start command says, or by itself.
func Prebuilt(reference string, options Options) *Plan {
	plan := &Plan{
		Language: "Image", Reasons: []string{reference}, Port: defaultPort, Processes: models.Processes{models.WebProcess: nil},
	}
	if options.StartCommand != "" {
		plan.Processes[models.WebProcess] = argv(options.StartCommand)
	}
	return plan
}

// exposedPort returns the first TCP port of an EXPOSE of the target, which is the
// last stage where it has no name, or of the stage's that it begins from, or 0.
func exposedPort(file *parser.Node, target string) int {
	port, stage := 0, ""
	ports := map[string]int{}
	for _, node := range file.Children {
		switch strings.ToLower(node.Value) {
		case "from":
			base, name := fromWords(node)
			port, stage = ports[base], name
			ports[stage] = port
		case "expose":
			if port == 0 {
				port = firstPort(node)
			}
			ports[stage] = port
		}
	}
	if target != "" {
		return ports[strings.ToLower(target)]
	}
	return port
}

// fromWords returns what a FROM begins from and what it names its stage.
func fromWords(node *parser.Node) (base, name string) {
	var words []string
	for word := node.Next; word != nil; word = word.Next {
		words = append(words, strings.ToLower(word.Value))
	}
	if len(words) == 3 && words[1] == "as" {
		name = words[2]
	}
	return strings.Join(words[:min(1, len(words))], ""), name
}

func firstPort(node *parser.Node) int {
	for word := node.Next; word != nil; word = word.Next {
		number, protocol, _ := strings.Cut(word.Value, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && !strings.EqualFold(protocol, "udp") {
			return int(port)
		}
	}
	return 0
}

// MountCA adds the mount of a private certificate authority to every RUN of a
// Dockerfile. The mount is a secret, so that it leaves no trace in a layer.
func MountCA(dockerfile []byte) ([]byte, error) { return mountEverywhere(dockerfile, caMount) }

// MountBuildID adds the mount of BuildIDSecret to every RUN of a Dockerfile: the
// processes of a step show by it which build they are of. Its value is not part
// of what decides whether a step runs again.
func MountBuildID(dockerfile []byte) ([]byte, error) {
	return mountEverywhere(dockerfile, "--mount=type=secret,id="+BuildIDSecret)
}

// BuildIDSecret is the id of the build secret that tells one build's steps from
// another's, in /run/secrets.
const BuildIDSecret = "sky-build"

func mountEverywhere(dockerfile []byte, mount string) ([]byte, error) {
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
		lines[node.StartLine-1] = line[:end] + " " + mount + line[end:]
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
