package platform

import (
	"sync"
	"time"
)

// accessState is what the doors remember between requests. It is made at its
// first use, because some of it is costly.
type accessState struct {
	once    sync.Once
	since   time.Time // of this process
	hasher  *hasher
	flights flights
}

func (p *Platform) access() *accessState {
	p.doors.once.Do(func() {
		p.doors.since = now()
		p.doors.hasher = newHasher()
	})
	return &p.doors
}
