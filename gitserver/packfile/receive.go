package packfile

import (
	"bufio"
	"context"
	"crypto/sha1"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"sync"

	"github.com/skypanel/sky/gitserver/object"
)

// streamAbove is the size above which a blob is hashed while it is inflated,
// instead of being held in memory.
const streamAbove = 1 << 20

// receive is stage 1: it writes the stream to the file, records every entry and
// resolves those that are no deltas. It returns the pack's checksum.
func (in *intake) receive(r io.Reader) (object.ID, error) {
	tee := &teeReader{ctx: in.ctx, source: r, file: in.file, digest: sha1.New(), max: in.limits.Bytes}
	stream := &receiver{intake: in, tee: tee, buffered: bufio.NewReaderSize(tee, 128<<10), hasher: object.NewHasher()}
	count, err := stream.readHeader()
	if err != nil {
		return object.Zero, err
	}
	stream.checkers = startCheckers(in)
	err = stream.readEntries(count)
	stream.checkers.stop()
	if err == nil {
		err = in.err()
	}
	if err != nil {
		return object.Zero, err
	}
	return stream.readTrailer()
}

// receiver is the one goroutine of stage 1.
type receiver struct {
	*intake
	tee      *teeReader
	buffered *bufio.Reader
	inflater Inflater
	hasher   *object.Hasher
	checkers *checkers
}

func (r *receiver) position() int64 { return r.tee.total - int64(r.buffered.Buffered()) }

func (r *receiver) readHeader() (uint32, error) {
	var header [packHeaderSize]byte
	if _, err := io.ReadFull(r.buffered, header[:]); err != nil {
		return 0, streamError("pack header", err)
	}
	count, err := parsePackHeader(header[:])
	if err != nil {
		return 0, err
	}
	if count > r.limits.Objects {
		return 0, limitf("%d objects announced, %d are allowed", count, r.limits.Objects)
	}
	return count, nil
}

func (r *receiver) readEntries(count uint32) error {
	for range count {
		if err := r.err(); err != nil {
			return err
		}
		if err := r.readEntry(); err != nil {
			return err
		}
	}
	return nil
}

func (r *receiver) readEntry() error {
	e := entry{offset: r.position(), base: none, child: none, next: none}
	header, err := ReadHeader(r.buffered)
	if err != nil {
		return err
	}
	if header.Size > math.MaxUint32 {
		return limitf("an object of %d bytes, %d are allowed", header.Size, r.limits.ObjectBytes)
	}
	if err := r.grow(header.Size, r.position()); err != nil {
		return err
	}
	e.size, e.header, e.disk = uint32(header.Size), uint8(header.Len), header.Kind
	if header.Kind == object.OfsDelta {
		base, ok := r.entries.starting(e.offset - header.Back)
		if !ok || header.Back <= 0 {
			return corrupt("delta base is not an entry")
		}
		e.base = base
	}
	if err := r.inflater.Reset(r.buffered); err != nil {
		return err
	}
	at := r.entries.add(e)
	if header.Kind == object.RefDelta {
		r.waiting[header.Base] = append(r.waiting[header.Base], at)
	}
	return r.readContent(at)
}

func (r *receiver) readContent(at int32) error {
	e := r.entries.at(at)
	switch {
	case e.disk == object.Blob && e.size > streamAbove:
		return r.streamBlob(e)
	case e.disk.Whole():
		buf := r.checkers.pool.get(int(e.size))
		if err := r.inflater.Fill(buf); err != nil {
			return err
		}
		r.checkers.submit(e, buf)
		return nil
	}
	if buf, position := r.arena.reserve(int(e.size)); position != 0 {
		e.kept = position
		return r.inflater.Fill(buf)
	}
	return r.inflater.CopyTo(io.Discard, int64(e.size))
}

func (r *receiver) streamBlob(e *entry) (err error) {
	r.hasher.Start(object.Blob, int64(e.size))
	if err := r.inflater.CopyTo(r.hasher, int64(e.size)); err != nil {
		return err
	}
	if e.id, err = r.hasher.Finish(); err != nil {
		return &ObjectError{e.id, err.Error()}
	}
	e.kind = object.Blob
	r.resolved.Add(1)
	return nil
}

func (r *receiver) readTrailer() (sum object.ID, err error) {
	r.end = r.position()
	var trailer object.ID
	if _, err := io.ReadFull(r.buffered, trailer[:]); err != nil {
		return sum, streamError("pack trailer", err)
	}
	if r.buffered.Buffered() != 0 {
		return sum, corrupt("garbage after the pack")
	}
	r.tee.digest.Sum(sum[:0])
	if trailer != sum {
		return sum, corrupt("pack checksum mismatch")
	}
	return sum, nil
}

// checkers name and check whole objects while the next ones come in.
type checkers struct {
	in     *intake
	jobs   chan checkJob
	queued *budget
	pool   bufferPool
	group  sync.WaitGroup
}

type checkJob struct {
	entry *entry
	data  []byte
}

func startCheckers(in *intake) *checkers {
	c := &checkers{in: in, jobs: make(chan checkJob, 256), queued: newBudget(queueBytes)}
	for range max(1, in.limits.Workers-1) {
		c.group.Go(c.work)
	}
	return c
}

func (c *checkers) submit(e *entry, data []byte) {
	c.queued.acquire(len(data))
	c.jobs <- checkJob{e, data}
}

func (c *checkers) work() {
	inspector := newInspector(c.in)
	for job := range c.jobs {
		if c.in.err() == nil {
			id, err := inspector.inspect(job.entry.disk, job.data)
			if err != nil {
				c.in.fail(err)
			}
			job.entry.id, job.entry.kind = id, job.entry.disk
			c.in.resolved.Add(1)
		}
		c.queued.release(len(job.data))
		c.pool.put(job.data)
	}
}

func (c *checkers) stop() {
	close(c.jobs)
	c.group.Wait()
}

// teeReader writes what it reads to a file and hashes all of it but the last 20
// bytes, which may be the trailer.
type teeReader struct {
	ctx    context.Context
	source io.Reader
	file   *os.File
	digest hash.Hash
	tail   []byte
	total  int64
	max    int64
}

// Read implements io.Reader.
func (t *teeReader) Read(buf []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.source.Read(buf)
	if n == 0 {
		return 0, err
	}
	if t.total += int64(n); t.total > t.max {
		return 0, limitf("a pack of more than %d bytes", t.max)
	}
	if _, writeErr := t.file.Write(buf[:n]); writeErr != nil {
		return 0, fmt.Errorf("write pack: %w", writeErr)
	}
	t.hash(buf[:n])
	return n, err
}

func (t *teeReader) hash(data []byte) {
	if len(data) >= trailerSize {
		_, _ = t.digest.Write(t.tail)
		_, _ = t.digest.Write(data[:len(data)-trailerSize])
		t.tail = append(t.tail[:0], data[len(data)-trailerSize:]...)
		return
	}
	t.tail = append(t.tail, data...)
	if extra := len(t.tail) - trailerSize; extra > 0 {
		_, _ = t.digest.Write(t.tail[:extra])
		t.tail = append(t.tail[:0], t.tail[extra:]...)
	}
}
