package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

const (
	tailLines = 20
	// maxLogLine bounds a line of output; a longer one is cut.
	maxLogLine = 8 << 10
	// maxLogBytes bounds the output of one build; what follows is dropped.
	maxLogBytes = 16 << 20
)

// progress turns BuildKit's status stream into log lines, and remembers the
// failing step's last ones.
type progress struct {
	log     Log
	names   map[digest.Digest]string
	started map[digest.Digest]bool
	done    map[digest.Digest]bool
	partial map[digest.Digest]string
	tails   map[digest.Digest][]string
	failed  digest.Digest
	// causes are what the steps' output says about why they fail.
	causes map[digest.Digest]*models.Error
	// missing is the base image that could not be had.
	missing string
	written int
	steps   []models.BuildStep
}

// stepName is a step as people write it, without its mounts.
func stepName(vertex *client.Vertex) string {
	name := strings.ToValidUTF8(mountFlags.ReplaceAllString(vertex.Name, ""), "")
	const most = 200
	return name[:min(len(name), most)]
}

func newProgress(log Log) *progress {
	return &progress{
		log: log, names: map[digest.Digest]string{}, started: map[digest.Digest]bool{},
		done: map[digest.Digest]bool{}, partial: map[digest.Digest]string{}, tails: map[digest.Digest][]string{}, causes: map[digest.Digest]*models.Error{},
	}
}

func (p *progress) add(status *client.SolveStatus) {
	for _, vertex := range status.Vertexes {
		p.vertex(vertex)
	}
	for _, chunk := range status.Logs {
		p.output(chunk)
	}
}

func (p *progress) vertex(vertex *client.Vertex) {
	id := vertex.Digest
	p.names[id] = vertex.Name
	internal := strings.HasPrefix(vertex.Name, "[internal]")
	if vertex.Started != nil && !p.started[id] && !internal {
		p.started[id] = true
		p.log.Detail("▸ " + mountFlags.ReplaceAllString(vertex.Name, ""))
		p.announce(vertex)
	}
	if vertex.Completed == nil || p.done[id] {
		return
	}
	p.done[id] = true
	p.flush(id)
	switch {
	case internal: // what fails here is no step of the Dockerfile's
		if image, ok := strings.CutPrefix(vertex.Name, "[internal] load metadata for "); ok && vertex.Error != "" {
			p.missing = image
		}
	case vertex.Error != "":
		p.fail(vertex)
	case vertex.Cached:
		p.steps = append(p.steps, models.BuildStep{Name: stepName(vertex), Cached: true})
		p.log.Detail("  cached")
	case vertex.Started != nil:
		took := vertex.Completed.Sub(*vertex.Started)
		p.steps = append(p.steps, models.BuildStep{Name: stepName(vertex), Millis: took.Milliseconds()})
		p.log.Detail(fmt.Sprintf("  done in %.1fs", took.Seconds()))
	}
}

// fail remembers the step that failed first; those beside it are cancelled for
// it and fail too.
func (p *progress) fail(vertex *client.Vertex) {
	if p.failed == "" && !strings.Contains(vertex.Error, context.Canceled.Error()) {
		p.failed = vertex.Digest
	}
}

// announce tells the pusher which command runs now. What is cached starts and
// ends in one message, and is not worth a line.
func (p *progress) announce(vertex *client.Vertex) {
	if vertex.Completed != nil || !runInstruction.MatchString(vertex.Name) {
		return
	}
	text := command(vertex.Name)
	const room = narrative.Width - 11
	if len(text) > room {
		text = text[:room-1] + "…"
	}
	p.log.Say("%s", narrative.Field("", "› "+text))
}

// mountFlags are the caches and secrets of a RUN, which say nothing to a reader.
var mountFlags = regexp.MustCompile(` --mount=\S+`)

var runInstruction = regexp.MustCompile(`^\[[^\]]*\] RUN `)

// output splits a chunk into lines; what follows the last newline waits.
func (p *progress) output(chunk *client.VertexLog) {
	id := chunk.Vertex
	text := p.partial[id] + string(chunk.Data)
	for {
		line, rest, found := strings.Cut(text, "\n")
		if !found {
			break
		}
		p.line(id, line)
		text = rest
	}
	if len(text) > maxLogLine {
		p.line(id, text)
		text = ""
	}
	p.partial[id] = text
}

func (p *progress) flush(id digest.Digest) {
	if text := p.partial[id]; text != "" {
		p.line(id, text)
	}
	delete(p.partial, id)
}

func (p *progress) line(id digest.Digest, line string) {
	line = strings.TrimRight(line, "\r")
	if at := strings.LastIndexByte(line, '\r'); at >= 0 {
		line = line[at+1:] // a progress bar: its last state
	}
	line = strings.ToValidUTF8(line[:min(len(line), maxLogLine)], "�")
	if p.causes[id] == nil {
		p.causes[id] = diagnose(line)
	}
	tail := append(p.tails[id], line)
	p.tails[id] = tail[max(0, len(tail)-tailLines):]
	if p.written > maxLogBytes {
		return
	}
	p.written += len(line) + 1
	if p.written > maxLogBytes {
		line = fmt.Sprintf("… the rest of the output is left out: it is more than %d MB", maxLogBytes>>20)
	}
	p.log.Detail("  " + line)
}

var exitCode = regexp.MustCompile(`(?:exit code: |executor failed running.*exit status )(\d+)`)

// explain turns BuildKit's error into one for the user: the failing step, its
// exit code, and what it said last.
func (p *progress) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	step, known := p.names[p.failed]
	if !known {
		return p.explainUnbuilt(err)
	}
	p.log.Say("")
	for _, line := range p.tails[p.failed] {
		p.log.Say("   %s", line)
	}
	if cause := p.causes[p.failed]; cause != nil {
		return cause
	}
	reason := "failed"
	if match := exitCode.FindStringSubmatch(err.Error()); match != nil {
		code, _ := strconv.Atoi(match[1])
		reason = "exited with code " + match[1]
		if code == 137 {
			reason += ": killed, most likely out of memory"
		}
	}
	failure := models.Errorf(models.Failed, "build step `%s` %s", command(step), reason)
	if reason == "failed" {
		failure = models.Errorf(models.Failed, "build step `%s` failed: %s", command(step), lastSentence(err))
	}
	return failure
}

// stepPrefix is BuildKit's own numbering in front of an instruction, and what
// rendered Dockerfiles have in front of a command.
var stepPrefix = regexp.MustCompile(`^\[[^\]]*\] (?:RUN )?(?:--\S+ )*(?:` + regexp.QuoteMeta(buildpacks.ReadVariables) + `)?`)

func command(step string) string {
	text := stepPrefix.ReplaceAllString(step, "")
	if len(text) > 120 {
		text = text[:117] + "..."
	}
	return text
}

var dockerfileLine = regexp.MustCompile(`(?i)(dockerfile(?: parse error)?(?: on)? line \d+.*|Dockerfile:\d+.*)`)

// explainUnbuilt is for what fails before a step runs: the Dockerfile itself,
// or an image that cannot be had.
func (p *progress) explainUnbuilt(err error) error {
	text := lastSentence(err)
	if match := dockerfileLine.FindString(err.Error()); match != "" {
		text = strings.TrimSpace(match)
		if first, _, ok := strings.Cut(text, "\n"); ok {
			text = first
		}
		return models.Errorf(models.Failed, "%s", text).WithField("Dockerfile").WithRemedy("fix that line and push again")
	}
	if p.missing != "" {
		return models.Errorf(models.Failed, "the base image %s cannot be had: %s", p.missing, text).WithField("Dockerfile").
			WithRemedy("name an image that this server can pull or has")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return models.Errorf(models.Unavailable, "the build engine does not answer: %w", err)
	}
	return models.Errorf(models.Failed, "%s", text)
}

// lastSentence drops the layers that gRPC and BuildKit wrap around a message.
func lastSentence(err error) string {
	text := err.Error()
	for _, prefix := range []string{"failed to solve: ", "rpc error: code = Unknown desc = ", "executor failed running "} {
		text = strings.ReplaceAll(text, prefix, "")
	}
	return text
}
