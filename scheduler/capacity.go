package scheduler

// Policy is how much of what machines have may be promised.
type Policy struct {
	// CPUPercent is how much of the CPUs is promised: most processes wait most of
	// the time.
	CPUPercent int
	// MemoryPercent is the same of the memory, less what is kept for the system. Above
	// 100, Instances can be killed though they keep to what they were promised.
	MemoryPercent int
}

// minReserve is the least memory that a machine keeps for its system and Sky.
const minReserve = 256 << 20

// Capacity is what may be promised on a machine: a tenth of its memory, and at
// least 256 MB, stay for the system and Sky.
func (p Policy) Capacity(cpus int, memoryBytes int64) Size {
	const millis, percent, tenth = 1000, 100, 10
	usable := max(0, memoryBytes-max(memoryBytes/tenth, minReserve))
	return Size{
		CPUMillis:   int64(cpus) * millis * int64(p.CPUPercent) / percent,
		MemoryBytes: usable / percent * int64(p.MemoryPercent),
	}
}
