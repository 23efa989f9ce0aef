package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// memory is a Log that keeps what it hears.
type memory struct {
	mu           sync.Mutex
	said, detail []string
}

func (m *memory) Say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, fmt.Sprintf(format, args...))
}

func (m *memory) Detail(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.detail = append(m.detail, text)
}

// details are the lines of the full log.
func (m *memory) details() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.detail)
}

func step(name, failure string, cached bool) *client.Vertex {
	begun := time.Unix(1000, 0)
	ended := begun.Add(1500 * time.Millisecond)
	return &client.Vertex{
		Digest: digest.FromString(name), Name: name, Started: &begun, Completed: &ended, Error: failure, Cached: cached,
	}
}

func output(name, text string) *client.VertexLog {
	return &client.VertexLog{Vertex: digest.FromString(name), Data: []byte(text)}
}

const runStep = "[build 3/4] RUN --mount=type=cache,id=npm npm ci"

func TestProgressTellsTheFullLog(t *testing.T) {
	log := &memory{}
	p := newProgress(log)
	begun := time.Unix(1000, 0)
	p.add(&client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: digest.FromString(runStep), Name: runStep, Started: &begun}, step("[internal] load context", "", false)},
		Logs:     []*client.VertexLog{output(runStep, "10%\r99%\rdone\r\nsplit h\xc3"), output(runStep, "\xa9re\nbad \xff\nlast")},
	})
	p.add(&client.SolveStatus{Vertexes: []*client.Vertex{step(runStep, "", false), step("[1/4] FROM x", "", true)}})
	require.Equal(t, []string{
		"▸ [build 3/4] RUN npm ci", "  done", "  split hére", "  bad �", "  last", "  done in 1.5s", "▸ [1/4] FROM x", "  cached",
	}, log.detail)
	require.Equal(t, []string{"         › npm ci"}, log.said)
}

func TestProgressIsBounded(t *testing.T) {
	log := &memory{}
	p := newProgress(log)
	endless := strings.Repeat("x", maxLogLine+1)
	for range maxLogBytes/maxLogLine + 10 {
		p.add(&client.SolveStatus{Logs: []*client.VertexLog{output(runStep, endless)}})
	}
	require.Contains(t, log.detail[len(log.detail)-1], "the rest of the output is left out")
	require.LessOrEqual(t, len(log.detail), maxLogBytes/maxLogLine+2)
	require.Len(t, p.tails[digest.FromString(runStep)], tailLines)
}

func TestExplain(t *testing.T) {
	const exit = "failed to solve: rpc error: code = Unknown desc = executor failed running [/bin/sh -c npm ci]: exit code: %d"
	for name, test := range map[string]struct {
		steps []*client.Vertex
		err   error
		want  string
	}{
		"exit code": {[]*client.Vertex{step(runStep, "x", false)}, fmt.Errorf(exit, 7), "build step `npm ci` exited with code 7"},
		"killed":    {[]*client.Vertex{step(runStep, "x", false)}, fmt.Errorf(exit, 137), "build step `npm ci` exited with code 137: killed, most likely out of memory"},
		"the first of two": {
			[]*client.Vertex{step("[2/3] RUN other", "context canceled", false), step(runStep, "x", false), step("[3/3] RUN third", "context canceled", false)},
			fmt.Errorf(exit, 1), "build step `npm ci` exited with code 1",
		},
		"no exit code": {
			[]*client.Vertex{step("[2/3] COPY a b", "x", false)},
			errors.New("failed to solve: rpc error: code = Unknown desc = failed to compute cache key: \"/a\" not found"),
			"build step `COPY a b` failed: failed to compute cache key: \"/a\" not found",
		},
		"no base image": {
			[]*client.Vertex{step("[internal] load metadata for docker.io/library/nope:1", "x", false)},
			errors.New("failed to solve: nope:1: failed to resolve source metadata"), "the base image docker.io/library/nope:1 cannot be had: nope:1: failed to resolve source metadata",
		},
		"Dockerfile": {nil, errors.New("failed to solve: dockerfile parse error on line 3: unknown instruction: RUM\nmore"), "dockerfile parse error on line 3: unknown instruction: RUM"},
		"anything":   {nil, errors.New("failed to solve: strange"), "strange"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgress(&memory{})
			p.add(&client.SolveStatus{Vertexes: test.steps})
			err := p.explain(t.Context(), test.err)
			require.Equal(t, models.Failed, models.CodeOf(err))
			require.EqualError(t, err, test.want)
		})
	}
}

func TestExplainShowsTheTail(t *testing.T) {
	log := &memory{}
	p := newProgress(log)
	for line := range 30 {
		p.add(&client.SolveStatus{Logs: []*client.VertexLog{output(runStep, fmt.Sprintf("line %d\n", line))}})
	}
	p.add(&client.SolveStatus{Vertexes: []*client.Vertex{step(runStep, "x", false)}})
	require.Error(t, p.explain(t.Context(), errors.New("exit code: 1")))
	require.Len(t, log.said, tailLines+1)
	require.Equal(t, "   line 10", log.said[1])
	require.Equal(t, "   line 29", log.said[tailLines])
}

func TestExplainSaysWhoCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("superseded")
	cancel(cause)
	require.Equal(t, cause, newProgress(&memory{}).explain(ctx, context.Canceled))
}
