package platform

import "sync"

// accessState is what the doors remember between requests. It is made at its
// first use, because some of it is costly.
type accessState struct {
	once   sync.Once
	hasher *hasher
}

func (p *Platform) access() *accessState {
	p.doors.once.Do(func() { p.doors.hasher = newHasher() })
	return &p.doors
}
