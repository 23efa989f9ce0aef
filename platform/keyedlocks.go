package platform

import (
	"sync"

	"github.com/skypanel/sky/models"
)

// keyedLocks are locks by id. The zero value is ready.
type keyedLocks struct {
	mu   sync.Mutex
	held map[models.ID]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int // who holds it or waits for it
}

// lock waits for the id's lock, and returns what releases it.
func (k *keyedLocks) lock(id models.ID) (unlock func()) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[models.ID]*keyedLock{}
	}
	at := k.held[id]
	if at == nil {
		at = &keyedLock{}
		k.held[id] = at
	}
	at.users++
	k.mu.Unlock()
	at.Lock()
	return func() {
		at.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(k.held, id)
		}
	}
}
