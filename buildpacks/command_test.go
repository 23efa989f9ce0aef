package buildpacks

import (
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/require"
)

func TestArgv(t *testing.T) {
	shell := func(line string) []string { return []string{"/bin/sh", "-c", line} }
	for line, want := range map[string][]string{
		"node server.js":             {"node", "server.js"},
		"  node   'my server.js' ":   {"node", "my server.js"},
		`java -jar "a b.jar"`:        {"java", "-jar", "a b.jar"},
		`echo a\ b`:                  {"echo", "a b"},
		"gunicorn -b :$PORT app":     shell("exec gunicorn -b :$PORT app"),
		"a --level=3":                shell("exec a --level=3"),
		"ls *.js":                    shell("exec ls *.js"),
		"A=1 node x":                 shell("A=1 node x"),
		"npm run build && npm start": shell("npm run build && npm start"),
		"cat < in | tee out":         shell("cat < in | tee out"),
		"exec gunicorn -b $PORT":     shell("exec gunicorn -b $PORT"),
		"(cd app; node x)":           shell("(cd app; node x)"),
		"node 'unbalanced":           shell("exec node 'unbalanced"),
		"puma -p ${PORT:-1}":         shell("puma -p ${PORT:-1}"),
	} {
		require.Equal(t, want, argv(line), line)
	}
}

func TestExposedPort(t *testing.T) {
	for text, want := range map[string]int{
		"FROM a\n": defaultPort, "FROM a\nEXPOSE 5000\n": 5000, "FROM a\nexpose 5000/tcp 6000\n": 5000,
		"FROM a AS b\nEXPOSE 1\nFROM c\n": defaultPort, "FROM a\nEXPOSE $PORT\n": defaultPort,
		"FROM a\nEXPOSE 53/udp 80\n": 80, "FROM a\nEXPOSE 99999\n": defaultPort,
		"FROM a AS b\nEXPOSE 7000\nFROM b\nRUN x\n":                           7000,
		"FROM a AS b\nEXPOSE 7\nFROM --platform=linux/amd64 b as c\nFROM c\n": 7,
	} {
		plan, err := Detect(repo{"Dockerfile": text}.fs(), Options{})
		require.NoError(t, err)
		require.Equal(t, want, plan.Port, text)
	}
}

// TestMountCA changes RUN instructions and nothing else, wherever they stand.
func TestMountCA(t *testing.T) {
	const file = `# syntax=docker/dockerfile:1
# RUN is not run here
FROM a AS one
run echo lower \
  && echo RUN more
  RUN --network=none echo indented
COPY <<EOF /script
RUN not an instruction
EOF
RUN <<EOF
run inside
EOF
RUN ["a", "b"]

# comment
RUN echo a \
# in between
  b
ONBUILD RUN later`
	mounted, err := MountCA([]byte(file))
	require.NoError(t, err)
	want := file
	for before, after := range map[string]string{
		"\nrun echo lower":     "\nrun " + caMount + " echo lower",
		"  RUN --network=none": "  RUN " + caMount + " --network=none",
		"\nRUN <<EOF":          "\nRUN " + caMount + " <<EOF",
		"\nRUN [":              "\nRUN " + caMount + " [",
		"\nRUN echo a":         "\nRUN " + caMount + " echo a",
	} {
		want = strings.Replace(want, before, after, 1)
	}
	require.Equal(t, want, string(mounted))
	_, err = parser.Parse(strings.NewReader(string(mounted)))
	require.NoError(t, err)
	_, err = MountCA([]byte("FROM a\nRUN <<EOF\n"))
	require.Error(t, err)
}
