package agent

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// hostPort joins an address and a port.
func hostPort(address string, port int) string {
	return net.JoinHostPort(address, strconv.Itoa(port))
}

// exitReason says why a container ended before it was healthy.
func exitReason(c container, m memory) string {
	if c.OOM || m.OOM {
		return outOfMemory(c)
	}
	if c.Health == "unhealthy" {
		return sickReason(c)
	}
	if c.Port > 0 {
		return fmt.Sprintf("exited with code %d before it listened on port %d", c.ExitCode, c.Port)
	}
	return fmt.Sprintf("exited with code %d before it was healthy", c.ExitCode)
}

// sickReason says what the image's own health check found.
func sickReason(c container) string {
	return strings.TrimSuffix("its own health check failed: "+c.HealthOutput, ": ")
}

// crashReason says why a container that was healthy is given up.
func crashReason(c container, m memory) string {
	last := fmt.Sprintf("it last exited with code %d", m.ExitCode)
	if c.OOM || m.OOM {
		last = "it last " + outOfMemory(c)
	}
	return fmt.Sprintf("crashed %d times within %s; %s", len(m.Deaths), plainly(crashWindow), last)
}

func outOfMemory(c container) string {
	if c.Memory == 0 {
		return "was killed: out of memory"
	}
	return fmt.Sprintf("was killed: out of memory (limit %d MB)", c.Memory>>20)
}

// goneReason is why a Release cannot run where its image was lost, or never was:
// on a machine that a backup was restored on.
const goneReason = "the image of this release is gone from this machine: push another commit, and one is built"

func missingReason(command string) string {
	return fmt.Sprintf("its command %q was not found in the image", command)
}

// missingCommand reads what the init process says about a command that is not
// there: "[FATAL tini (7)] exec nope failed: No such file or directory".
func missingCommand(tail []string) (command string, missing bool) {
	for _, line := range tail {
		_, told, fatal := strings.Cut(line, "[FATAL tini (")
		_, told, exec := strings.Cut(told, "] exec ")
		command, _, missing = strings.Cut(told, " failed: No such file")
		if fatal && exec && missing {
			return command, true
		}
	}
	return "", false
}

// listenReason says that nobody listens where it should, and where somebody
// does.
func listenReason(port int, deadline time.Duration, sockets []string) string {
	reason := fmt.Sprintf("did not listen on $PORT (%d) within %s", port, plainly(deadline))
	if len(sockets) == 0 {
		return reason + "; it listens on no port"
	}
	return reason + "; it listens on " + strings.Join(sockets, ", ")
}

// plainly writes a duration as a person would: "1m0s" is "60s".
func plainly(d time.Duration) string {
	switch {
	case d > 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
