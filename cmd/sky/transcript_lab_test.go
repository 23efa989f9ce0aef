package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/skypanel/sky/internal/testenv"
)

// server [FLAGS]: starts `sky server`, a control plane without a node, waits until
// it is ready, and adds the transcript's key.
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	s.start(ts, "server", args...)
	if _, err := os.Stat(filepath.Join(s.dir, "added")); err != nil {
		ts.Check(ts.Exec("sky", "keys", "add", filepath.Join(s.dir, "id_ed25519.pub")))
		ts.Check(os.WriteFile(filepath.Join(s.dir, "added"), nil, 0o600))
	}
}

var installPattern = regexp.MustCompile(`curl -fsSL \S+ \| SKY_JOIN=\S+ sh`)

// lab start: makes a network for machines; the control plane will be on it.
// lab add NAME [MEGABYTES | swarm [PEER]]: makes a machine, unless there is one, with a
// disk of that size or as a manager of a Docker Swarm (of PEER's), and registers it as a
// node by the command that the admin is told; DOCKER_NAME is the address of its engine.
// lab machine NAME: makes one that is no node. lab load NAME IMAGE...: copies images to
// its engine. lab kill|unplug|plug NAME: what it says. lab grow NAME MEGABYTES: gives its
// disk another size. lab running NAME COUNT: waits until so many containers run there.
// lab only NAME...: requests come in at these from then on.
func cmdLab(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	verb, args := args[0], args[1:]
	switch verb {
	case "start":
		s.lab = s.newLab()
		s.http, s.ssh = s.lab.Address+":8080", s.lab.Address+":2222"
		for name, value := range map[string]string{"SKY_URL": "http://" + s.http, "HTTP_ADDR": s.http, "SSH_ADDR": s.ssh} {
			ts.Setenv(name, value)
		}
	case "add":
		s.addMachine(ts, args[0], s.hardware(ts, args[1:]))
	case "machine":
		_, err := s.lab.Add(args[0])
		ts.Check(err)
	case "load":
		ts.Check(s.lab.Machine(args[0]).Load(args[1:]...))
	case "kill":
		ts.Check(s.lab.Machine(args[0]).Kill())
	case "unplug":
		ts.Check(s.lab.Machine(args[0]).Unplug())
	case "plug":
		ts.Check(s.lab.Machine(args[0]).Plug())
	case "grow":
		ts.Check(s.lab.Machine(args[0]).Grow(number(ts, args[1])))
	case "running":
		s.awaitRunning(ts, args[0], args[1])
	case "only":
		s.openDoors(args...)
	default:
		ts.Fatalf("lab knows no %s", verb)
	}
}

// hardware reads what kind of machine is asked for.
func (s *scene) hardware(ts *testscript.TestScript, words []string) testenv.Hardware {
	switch {
	case len(words) == 0:
		return testenv.Hardware{}
	case words[0] != "swarm":
		return testenv.Hardware{Megabytes: number(ts, words[0])}
	case len(words) == 1:
		return testenv.Hardware{Swarm: true}
	}
	return testenv.Hardware{Swarm: true, Peer: s.lab.Machine(words[1])}
}

func number(ts *testscript.TestScript, text string) int {
	parsed, err := strconv.Atoi(text)
	ts.Check(err)
	return parsed
}

// awaitRunning waits until that many containers run on a machine.
func (s *scene) awaitRunning(ts *testscript.TestScript, name, count string) {
	machine := s.lab.Machine(name)
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		output, err := machine.Command("docker", "ps", "--quiet").CombinedOutput()
		if err == nil && strconv.Itoa(bytes.Count(output, []byte("\n"))) == count {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never ran %s containers; last:\n%s", name, count, output)
		}
		<-tick.C
	}
}

// addMachine makes a machine and has it install what the admin's command says.
func (s *scene) addMachine(ts *testscript.TestScript, name string, hardware testenv.Hardware) {
	machine := s.lab.Machine(name)
	if machine == nil {
		var err error
		machine, err = s.lab.AddOf(name, hardware)
		ts.Check(err)
	}
	ts.Setenv("DOCKER_"+name, machine.Docker)
	command := installPattern.Find(skyOutput(ts, "admin", "nodes", "add", name))
	if command == nil {
		ts.Fatalf("there is no command to install %s with", name)
	}
	home := filepath.Join(s.dir, "machine-"+name)
	install := machine.Command("sh", "-c", string(command))
	install.Env = slices.Concat(install.Env, []string{
		"SKY_BIN=" + filepath.Join(home, "sky"), "SKY_DATA_DIR=" + filepath.Join(home, "data"), "SKY_SERVICE=none", "SKY_URL=", "SKY_TOKEN=",
		"SKY_BUILDS=" + ts.Getenv("SKY_BUILDS"),
	})
	if hardware.Swarm {
		install.Env = append(install.Env, "SKY_RUNTIME=swarm")
	}
	output, err := install.CombinedOutput()
	ts.Logf("%s", output)
	ts.Check(err)
	s.openDoors(append(s.serving, name)...)
}

// openDoors has requests come in at these machines from now on.
func (s *scene) openDoors(machines ...string) {
	s.serving = machines
	doors := make([]string, len(machines))
	for i, name := range machines {
		doors[i] = s.lab.Machine(name).Address + ":80"
	}
	s.doors.Store(&doors)
}
