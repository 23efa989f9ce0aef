package buildpacks

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// appUser owns nothing and may do nothing; every image that we render runs as
// it.
const appUser = "10001:10001"

// systemPath is the PATH of a Debian image; an app's own directories come first.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// dockerfile collects the lines of a Dockerfile.
type dockerfile struct {
	strings.Builder
	images Images
}

func render(images Images) *dockerfile { return &dockerfile{images: images} }

// line writes one instruction.
func (d *dockerfile) line(format string, args ...any) {
	fmt.Fprintf(d, format+"\n", args...)
}

// from begins a stage that builds. With a private certificate authority, the
// tools that bring their own are pointed to the system's.
func (d *dockerfile) from(image, stage string) {
	d.tool(image, stage)
	d.variables()
}

// tool begins a stage that does not depend on the App, nor on its variables: it
// fetches a package manager, once. variables makes what follows depend on them.
func (d *dockerfile) tool(image, stage string) {
	d.line("\nFROM %s AS %s", image, stage)
	if d.images.ExtraCA {
		d.line("ENV NODE_EXTRA_CA_CERTS=%[1]s PIP_CERT=%[1]s SSL_CERT_FILE=%[1]s REQUESTS_CA_BUNDLE=%[1]s COMPOSER_CAFILE=%[1]s", caPath)
	}
}

func (d *dockerfile) variables() {
	if d.images.Variables {
		d.line("ARG %s", VariablesHash)
	}
}

// VariablesHash is the build argument that changes with the values of the
// variables that a build may read: BuildKit does not look at secrets when it
// decides whether a step is to run again.
const VariablesHash = "SKY_VARIABLES"

// VariablesSecret is the id of the build secret that holds VariablesScript.
const VariablesSecret = "sky-variables"

// ReadVariables begins the command of a step that gets the variables. A secret
// can be mounted as a variable itself, but not by every engine.
const ReadVariables = ". /run/secrets/" + VariablesSecret + "; "

// VariablesScript is a shell script that sets variables.
func VariablesScript(variables map[string]string) []byte {
	text := &bytes.Buffer{}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(text, "export %s=%s\n", name, shellQuote(variables[name]))
	}
	return text.Bytes()
}

// run writes a RUN with the private certificate authority, the variables that
// builds may read, and the given caches mounted.
func (d *dockerfile) run(command string, mounts ...string) {
	if d.images.Variables {
		mounts = append(mounts, "--mount=type=secret,id="+VariablesSecret)
		command = ReadVariables + command
	}
	d.runTool(command, mounts...)
}

// runTool writes a RUN that gets no variables, for a stage that tool began.
func (d *dockerfile) runTool(command string, mounts ...string) {
	parts := append([]string{"RUN"}, mounts...)
	if d.images.ExtraCA {
		parts = append(parts, caMount)
	}
	d.line("%s %s", strings.Join(parts, " "), command)
}

// cache is a directory that outlives the build, for the next one.
func cache(id, target string) string {
	return fmt.Sprintf("--mount=type=cache,id=%s,target=%s,sharing=locked", id, target)
}

// last ends the file: the user and the environment that every app gets. HOME
// is the only place that is writable in a read-only container.
func (d *dockerfile) last(environment ...string) string {
	d.line("ENV %s", strings.Join(append([]string{"HOME=/tmp"}, environment...), " "))
	d.line("USER %s", appUser)
	return strings.TrimLeft(d.String(), "\n")
}
