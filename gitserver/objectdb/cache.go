package objectdb

import (
	"sync"

	"github.com/skypanel/sky/gitserver/object"
)

const (
	cacheBytes = 16 << 20
	cacheItem  = cacheBytes / 8
)

type cacheKey struct {
	pack   *pack
	offset int64
}

type cached struct {
	kind object.Kind
	data []byte
}

// cache holds delta bases. Eviction is random, which the order of a map is and
// which does well enough on delta chains.
type cache struct {
	mu    sync.Mutex
	items map[cacheKey]cached
	size  int
}

func (c *cache) get(p *pack, offset int64) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[cacheKey{p, offset}]
	return item, ok
}

func (c *cache) put(p *pack, offset int64, item cached) {
	if len(item.data) > cacheItem {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{p, offset}
	if _, ok := c.items[key]; ok {
		return
	}
	if c.items == nil {
		c.items = map[cacheKey]cached{}
	}
	for old, victim := range c.items {
		if c.size+len(item.data) <= cacheBytes {
			break
		}
		delete(c.items, old)
		c.size -= len(victim.data)
	}
	c.items[key] = item
	c.size += len(item.data)
}
