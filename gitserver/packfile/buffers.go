package packfile

import (
	"math/bits"
	"sync"
)

const (
	smallestBuffer = 6        // 64 bytes, as a power of two
	poolBytes      = 8 << 20  // what a pool may hold back from the collector
	queueBytes     = 16 << 20 // objects that wait for a checker
)

// bufferPool recycles buffers by power of two. sync.Pool would forget them at
// every collection, and collections are frequent while a pack comes in.
type bufferPool struct {
	mu   sync.Mutex
	free [64][][]byte
	held int
}

func (p *bufferPool) get(size int) []byte {
	class := sizeClass(size)
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.free[class]; len(list) > 0 {
		buf := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		p.held -= cap(buf)
		return buf[:size]
	}
	return make([]byte, size, 1<<class)
}

func (p *bufferPool) put(buf []byte) {
	size := cap(buf)
	if size == 0 || size&(size-1) != 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+size <= poolBytes {
		p.held += size
		class := sizeClass(size)
		p.free[class] = append(p.free[class], buf)
	}
}

func sizeClass(size int) int {
	if size <= 1<<smallestBuffer {
		return smallestBuffer
	}
	return bits.Len(uint(size - 1))
}

// budget bounds the bytes in a queue. One item that exceeds it may pass alone.
type budget struct {
	mu    sync.Mutex
	freed *sync.Cond
	used  int
	max   int
}

func newBudget(max int) *budget {
	b := &budget{max: max}
	b.freed = sync.NewCond(&b.mu)
	return b
}

func (b *budget) acquire(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used > 0 && b.used+n > b.max {
		b.freed.Wait()
	}
	b.used += n
}

func (b *budget) release(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.freed.Signal()
}

const (
	slabSize       = 1 << 20
	arenaItemBytes = 4 << 10
)

// arena keeps small inflated deltas between the stages. Positions begin at 1,
// so that 0 means "not kept".
type arena struct {
	slabs [][]byte
	used  int64
	max   int64
}

// reserve returns room for size bytes and its position, or 0 when the delta is
// too large or the arena is full.
func (a *arena) reserve(size int) (buf []byte, position int32) {
	if size > arenaItemBytes || a.used+int64(size) > a.max {
		return nil, 0
	}
	last := len(a.slabs) - 1
	if last < 0 || len(a.slabs[last])+size > slabSize {
		a.slabs = append(a.slabs, make([]byte, 0, slabSize))
		last++
	}
	at := len(a.slabs[last])
	a.slabs[last] = a.slabs[last][:at+size]
	a.used += int64(size)
	return a.slabs[last][at:], int32(last*slabSize+at) + 1
}

func (a *arena) at(position int32, size int) []byte {
	at := int(position - 1)
	return a.slabs[at/slabSize][at%slabSize:][:size]
}
