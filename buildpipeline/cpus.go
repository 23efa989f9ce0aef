package buildpipeline

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ownCPUs are the numbers of the CPUs that this process may use; none where that
// cannot be told.
func ownCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// fewestCPUs lists as few of the CPUs as the limit needs, from a random one on, in
// the form of cpuset.cpus; empty where it needs all of them. A step that stays on
// them leaves the others to the apps: a quota alone would let it take all CPUs in
// bursts, which apps' latency feels. What it runs also counts the CPUs right.
func fewestCPUs(millis int64, cpus []int) string {
	need := int((millis + 999) / 1000)
	if need == 0 || need >= len(cpus) {
		return ""
	}
	first := rand.IntN(len(cpus))
	var list []string
	for i := range need {
		list = append(list, strconv.Itoa(cpus[(first+i)%len(cpus)]))
	}
	return strings.Join(list, ",")
}

// giveWay lets every process of an app that wakes take a CPU from the threads in a
// directory of /proc, and from what they start, at once instead of when their slice
// ends (sched(7), SCHED_IDLE). The policy weighs a step's processes among
// themselves alone; what they all get beside the apps is their group's weight, so
// that they do not starve.
func giveWay(threads string) {
	entries, err := os.ReadDir(threads)
	if err != nil {
		return // it has ended
	}
	for _, entry := range entries {
		if id, err := strconv.Atoi(entry.Name()); err == nil {
			_ = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
		}
	}
}
