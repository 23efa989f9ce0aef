package buildpipeline

import (
	"os"
	"sync"
	"time"
)

const (
	// hurryEvery is how often a step is looked for that is about to begin, and
	// hurryFor how long at most.
	hurryEvery = time.Millisecond
	hurryFor   = 2 * time.Second
)

// coming are the steps that BuildKit said it begins, and that were not seen yet.
type coming struct {
	hurry chan struct{} // holds one token while nobody looks in a hurry
	mu    sync.Mutex
	steps int
	older map[string]bool // the processes that were there before the first of them
	until time.Time
}

// expect is called before a step begins: it is then looked for in a hurry, so that
// it is held before it has done anything. Processes that are there already are not
// it.
func (w *warden) expect() {
	w.coming.mu.Lock()
	defer w.coming.mu.Unlock()
	if w.coming.steps == 0 {
		w.coming.older = map[string]bool{}
		for _, pid := range processes(w.proc) {
			w.coming.older[pid] = true
		}
	}
	w.coming.steps++
	w.coming.until = time.Now().Add(hurryFor)
	select {
	case w.coming.hurry <- struct{}{}:
	default:
	}
}

// now returns which processes are too old to look at, and how long to wait before
// the next look. Nobody comes: every process is looked at, every now and then.
func (c *coming) now() (older map[string]bool, pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps > 0 && time.Now().After(c.until) {
		c.steps = 0 // what was announced may fail before it begins
	}
	if c.steps == 0 {
		return nil, lookEvery
	}
	return c.older, hurryEvery
}

// came says that one was seen.
func (c *coming) came() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = max(0, c.steps-1)
}

// processes are the ids in proc.
func processes(proc string) []string {
	dir, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	pids := names[:0]
	for _, name := range names {
		if name[0] >= '0' && name[0] <= '9' {
			pids = append(pids, name)
		}
	}
	return pids
}
