package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// procRoot is where the kernel tells of this machine's processes.
const procRoot = "/proc"

// errElsewhere says that a container's processes are not seen from here: the agent
// is not root, or the engine is on another machine.
var errElsewhere = errors.New("the container's processes are not seen from here")

// inside is a container as a set of this machine's processes. The engine can end
// the whole of it only; what was run in it besides is told apart here.
type inside struct{ namespace string }

// lookInside finds a running container's processes by its first one. That the one
// of this number is the container's, and no other machine's, its control group says.
func lookInside(c container) (inside, error) {
	groups, err := os.ReadFile(procFile(c.PID, "cgroup"))
	if err != nil || c.PID == 0 || !bytes.Contains(groups, []byte(c.ID)) {
		return inside{}, errElsewhere
	}
	own, ownErr := os.Readlink(filepath.Join(procRoot, "self", "ns", "pid"))
	namespace, err := os.Readlink(procFile(c.PID, "ns", "pid"))
	if err != nil || ownErr != nil || namespace == own {
		return inside{}, errElsewhere
	}
	return inside{namespace}, nil
}

func procFile(pid int, name ...string) string {
	return filepath.Join(append([]string{procRoot, strconv.Itoa(pid)}, name...)...)
}

// signal sends a signal to those of the container's processes that match, and
// returns how many there were. One that ended meanwhile is not mistaken for who got
// its number: it is held before it is looked at.
func (i inside) signal(matches func(pid int) bool, signal os.Signal) (int, error) {
	entries, err := os.ReadDir(procRoot)
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	count := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		held, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		namespace, _ := os.Readlink(procFile(pid, "ns", "pid"))
		if namespace == i.namespace && matches(pid) && held.Signal(signal) == nil {
			count++
		}
		_ = held.Release()
	}
	return count, nil
}

// ofSession matches the processes of a session: what its leader started, but for
// what began a session of its own.
func ofSession(leader int) func(pid int) bool {
	return func(pid int) bool { return leader > 0 && sessionOf(pid) == leader }
}

// sessionOf reads the sixth field of proc(5)'s stat. The second is a name, which
// may have anything in it.
func sessionOf(pid int) int {
	stat, _ := os.ReadFile(procFile(pid, "stat"))
	_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 4 || fields[0] == "Z" {
		return 0
	}
	session, _ := strconv.Atoi(fields[3])
	return session
}

// ofVariable matches the processes that were started with a variable, whatever
// became of their parents.
func ofVariable(assignment string) func(pid int) bool {
	return func(pid int) bool {
		environment, _ := os.ReadFile(procFile(pid, "environ"))
		return slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(variable []byte) bool {
			return bytes.HasPrefix(variable, []byte(assignment))
		})
	}
}

func either(some ...func(pid int) bool) func(pid int) bool {
	return func(pid int) bool {
		return slices.ContainsFunc(some, func(matches func(int) bool) bool { return matches(pid) })
	}
}

// numbers are the signals that a person may send.
var numbers = map[string]syscall.Signal{
	"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}
