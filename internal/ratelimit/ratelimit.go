// Package ratelimit bounds how often something is done for each of many keys, in
// bounded memory.
package ratelimit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Keyed allows each key a burst, and then one more every so often. When there
// are too many keys it forgets the one that was not used for the longest.
type Keyed struct {
	every time.Duration
	burst int
	max   int

	mu     sync.Mutex
	newest *list.List // of *entry, the last used first
	byKey  map[string]*list.Element
}

type entry struct {
	key     string
	limiter *rate.Limiter
}

// New returns a Keyed for at most max keys.
func New(every time.Duration, burst, max int) *Keyed {
	return &Keyed{every: every, burst: burst, max: max, newest: list.New(), byKey: map[string]*list.Element{}}
}

// Take returns 0 when the key has a turn left, and takes it. Otherwise it
// returns how long to wait for the next, and takes nothing.
func (k *Keyed) Take(key string) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := time.Now()
	reserved := k.limiter(key).ReserveN(at, 1)
	wait := reserved.DelayFrom(at)
	if wait > 0 {
		reserved.CancelAt(at)
	}
	return wait
}

// Forget gives the key its whole burst back.
func (k *Keyed) Forget(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found, ok := k.byKey[key]; ok {
		k.remove(found)
	}
}

func (k *Keyed) limiter(key string) *rate.Limiter {
	if found, ok := k.byKey[key]; ok {
		k.newest.MoveToFront(found)
		return found.Value.(*entry).limiter
	}
	if len(k.byKey) >= k.max {
		k.remove(k.newest.Back())
	}
	made := &entry{key: key, limiter: rate.NewLimiter(rate.Every(k.every), k.burst)}
	k.byKey[key] = k.newest.PushFront(made)
	return made.limiter
}

func (k *Keyed) remove(found *list.Element) {
	k.newest.Remove(found)
	delete(k.byKey, found.Value.(*entry).key)
}
