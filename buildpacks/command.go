package buildpacks

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"

	"github.com/anmitsu/go-shlex"
	"github.com/skypanel/sky/models"
)

// argv turns a command line, as people write it in a Procfile, into what a
// container execs. A simple command is exec'd itself, so that it gets the
// signals; what needs a shell gets the image's, which execs it where it can.
func argv(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.ContainsAny(line, "|&;<>()$`*?[]{}~!\n#=") {
		if words, err := shlex.Split(line, true); err == nil && len(words) > 0 {
			return words
		}
	}
	if strings.ContainsAny(line, "|&;\n(){}") || assignment.MatchString(line) || strings.HasPrefix(line, "exec ") {
		return []string{"/bin/sh", "-c", line}
	}
	return []string{"/bin/sh", "-c", "exec " + line}
}

// shellQuote writes a text as one word that a shell changes nothing of.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// readProcfile parses the Procfile, if there is one: a line "type: command"
// per process type, as Heroku documents it.
func readProcfile(src source) (models.Processes, error) {
	text, ok, err := src.read("Procfile")
	if err != nil || !ok {
		return nil, err
	}
	processes := models.Processes{}
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, maxManifest)
	for number := 1; scanner.Scan(); number++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := addProcess(processes, line, number); err != nil {
			return nil, err
		}
	}
	return processes, nil
}

func addProcess(processes models.Processes, line string, number int) error {
	wrong := func(format string, args ...any) error {
		return models.Errorf(models.Failed, "Procfile line %d: %s", number, fmt.Sprintf(format, args...)).
			WithField("Procfile").WithRemedy("write one `type: command` a line, such as `web: node server.js`")
	}
	if strings.HasPrefix(line, "<<<<<<<") || strings.HasPrefix(line, "=======") || strings.HasPrefix(line, ">>>>>>>") {
		return wrong("a merge conflict was committed")
	}
	process, command, found := strings.Cut(line, ":")
	process = strings.TrimSpace(process)
	command = strings.TrimSpace(command)
	switch {
	case !found:
		return wrong("there is no colon in %q", line)
	case models.CheckProcess(process) != nil:
		return wrong("%q cannot name a process type", process)
	case command == "":
		return wrong("%s has no command", process)
	case processes[process] != nil:
		return wrong("%s appears twice", process)
	}
	processes[process] = argv(command)
	return nil
}
