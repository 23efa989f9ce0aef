// Package evilpack makes the hostile packs that the doors must survive, and an
// honest one to tell them from. Tests only.
package evilpack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
)

// Case is one pack.
type Case struct {
	Name string
	// Accept is set for honest packs.
	Accept bool
	// Pack writes the bytes.
	Pack func(w io.Writer) error
}

const (
	commit = 1
	tree   = 2
	blob   = 3
	ofs    = 6
	ref    = 7
)

// Cases returns every pack, the honest one first. Those in Large inflate to
// gigabytes and take seconds to refuse.
func Cases() []Case {
	cases := []Case{{Name: "ok", Accept: true, Pack: treeOf(entry("100644", "a", content))}}
	cases = append(cases, malformed()...)
	cases = append(cases, unlinked()...)
	return append(cases, trees()...)
}

// Large returns the bombs.
func Large() []Case {
	return []Case{
		{Name: "zbomb", Pack: pack(1, func(p *packer) { p.header(blob, 4<<30); p.zeros(4 << 30) })},
		{Name: "delta-bomb", Pack: pack(3, deltaBomb)},
		{Name: "delta-fan", Pack: pack(20_001, deltaFan)},
	}
}

func malformed() []Case {
	return []Case{
		{Name: "count-max", Pack: pack(0xffffffff, func(*packer) {})},
		{Name: "underrun", Pack: pack(1, func(p *packer) { p.header(blob, 1<<30); p.deflate([]byte("x")) })},
		{Name: "small-underrun", Pack: pack(1, func(p *packer) { p.header(blob, 10); p.deflate([]byte("x")) })},
		{Name: "overrun", Pack: pack(1, func(p *packer) { p.header(blob, 10); p.deflate(bytes.Repeat([]byte("x"), 1e6)) })},
		{Name: "deep", Pack: pack(5_001, deep)},
		{Name: "truncated", Pack: cut(pack(1, func(p *packer) { p.object(blob, content) }), 25)},
		{Name: "badsum", Pack: replaceSum(pack(1, func(p *packer) { p.object(blob, content) }))},
		{Name: "junk", Pack: pack(1, func(p *packer) { p.object(blob, content) }, "junk")},
		{Name: "bad-type", Pack: pack(1, func(p *packer) { p.header(5, 1); p.deflate([]byte("x")) })},
		{Name: "ofs-outside", Pack: pack(1, func(p *packer) { p.header(ofs, 4); p.write([]byte{0x7f}); p.deflate([]byte{2, 1, 1, 'x'}) })},
		{Name: "copy-outside", Pack: pack(2, func(p *packer) {
			at := p.size
			p.object(blob, content)
			back := p.size - at
			p.header(ofs, 5)
			p.write(backward(back))
			p.deflate([]byte{2, 9, 0x80 | 0x10, 9, 0}[:4])
		})},
		{Name: "self-delta", Pack: pack(1, func(p *packer) {
			id := name(blob, content)
			p.header(ref, 5)
			p.write(id[:])
			p.deflate([]byte{2, 1, 1, 'x', 0})
		})},
		{Name: "dup", Pack: pack(2, func(p *packer) { p.object(blob, content); p.object(blob, content) })},
	}
}

func unlinked() []Case {
	return []Case{
		{Name: "missing-blob", Pack: pack(2, func(p *packer) { p.object(commit, commitOf(p.object(tree, entry("100644", "a", content)))) })},
		{Name: "missing-parent", Pack: pack(3, func(p *packer) {
			p.object(blob, content)
			p.object(commit, commitOf(p.object(tree, entry("100644", "a", content)), "1111111111111111111111111111111111111111"))
		})},
		{Name: "wrong-kind", Pack: treeOf(entry("40000", "d", content))},
		{Name: "bad-commit", Pack: pack(1, func(p *packer) { p.object(commit, []byte("tree zz\n")) })},
	}
}

func trees() []Case {
	hostile := map[string][][]byte{
		"dotgit": {entry("100644", ".GIT", content)}, "dotgit-ntfs": {entry("100644", "git~1", content)},
		"dotgit-hfs": {entry("100644", ".g\u200cit", content)}, "dotgit-space": {entry("100644", ".git ", content)},
		"dotgit-stream": {entry("100644", ".git::$INDEX", content)}, "dotgit-backslash": {entry("100644", `a\.git`, content)},
		"dotdot": {entry("100644", "..", content)}, "dot": {entry("100644", ".", content)},
		"slash": {entry("100644", "../../etc/cron.d/x", content)}, "empty": {entry("100644", "", content)},
		"dupent":   {entry("100644", "a", content), entry("100755", "a", content)},
		"unsorted": {entry("100644", "b", content), entry("100644", "a", content)}, "badmode": {entry("120777", "a", content)},
		"gitmodules-symlink": {entry("120000", ".gitmodules", content)}, "nullsha": {append([]byte("100644 a\x00"), make([]byte, 20)...)},
	}
	var cases []Case
	for name, entries := range hostile {
		cases = append(cases, Case{Name: name, Pack: treeOf(entries...)})
	}
	return append(cases, Case{Name: "dup-far", Pack: pack(5, dupFar)})
}

// dupFar writes through a link when it is extracted: the link a, the file a.b,
// then the directory a.
func dupFar(p *packer) {
	p.object(blob, content)
	p.object(blob, []byte("/etc"))
	sub := p.object(tree, entry("100644", "passwd", content))
	entries := append(entry("120000", "a", []byte("/etc")), entry("100644", "a.b", content)...)
	entries = append(entries, append([]byte("40000 a\x00"), sub[:]...)...)
	p.object(commit, commitOf(p.object(tree, entries)))
}

// deltaBomb inflates 4 kB to 2 GiB in two steps.
func deltaBomb(p *packer) {
	first := p.size
	p.object(blob, make([]byte, 1<<20))
	second := p.size
	p.delta(second-first, copies(1<<20, 1<<20-1, 128))
	p.delta(p.size-second, copies((1<<20-1)*128, 1<<23, 256))
}

// deltaFan makes 160 GiB of hashing out of 2 MB.
func deltaFan(p *packer) {
	first := p.size
	p.object(blob, make([]byte, 1<<23))
	for i := range 20_000 {
		delta := append(varint(1<<23), varint(1<<23+4)...)
		delta = append(delta, 4, byte(i), byte(i>>8), byte(i>>16), 1, 0x80|0x40, 0x80)
		p.delta(p.size-first, delta)
	}
}

func deep(p *packer) {
	last, size := p.size, uint64(10)
	p.object(blob, []byte("0123456789"))
	for range 5_000 {
		delta := append(varint(size), varint(size+1)...)
		delta = append(delta, 0x80|0x10|0x20, byte(size), byte(size>>8), 1, 'x')
		size++
		at := p.size
		p.delta(p.size-last, delta)
		last = at
	}
}

var content = []byte("x\n")

// packer writes a pack and hashes it.
type packer struct {
	w    io.Writer
	size int64
	err  error
}

func pack(objects uint32, fill func(p *packer), after ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		digest := sha1.New()
		p := &packer{w: io.MultiWriter(w, digest)}
		p.write(binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), objects))
		fill(p)
		if p.err == nil {
			_, p.err = w.Write(digest.Sum(nil))
		}
		for _, extra := range after {
			if p.err == nil {
				_, p.err = io.WriteString(w, extra)
			}
		}
		return p.err
	}
}

func cut(whole func(io.Writer) error, bytesOff int) func(io.Writer) error {
	return func(w io.Writer) error {
		var all bytes.Buffer
		if err := whole(&all); err != nil {
			return err
		}
		_, err := w.Write(all.Bytes()[:all.Len()-bytesOff])
		return err
	}
}

func replaceSum(whole func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		if err := cut(whole, 20)(w); err != nil {
			return err
		}
		_, err := w.Write(make([]byte, 20))
		return err
	}
}

// treeOf is a commit of one tree over the one blob.
func treeOf(entries ...[]byte) func(io.Writer) error {
	return pack(3, func(p *packer) {
		p.object(blob, content)
		p.object(commit, commitOf(p.object(tree, bytes.Join(entries, nil))))
	})
}

func (p *packer) write(data []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(data)
		p.size += int64(len(data))
	}
}

// Write implements io.Writer for zlib.
func (p *packer) Write(data []byte) (int, error) {
	p.write(data)
	return len(data), p.err
}

func (p *packer) header(kind int, size uint64) {
	c := byte(kind<<4) | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.write([]byte{c | 0x80})
		c = byte(size & 0x7f)
	}
	p.write([]byte{c})
}

func (p *packer) deflate(data []byte) {
	z := zlib.NewWriter(p)
	_, _ = z.Write(data)
	_ = z.Close()
}

func (p *packer) zeros(count int64) {
	z, _ := zlib.NewWriterLevel(p, 9)
	_, err := io.CopyN(z, zeros{}, count)
	if p.err == nil {
		p.err = err
	}
	_ = z.Close()
}

type zeros struct{}

func (zeros) Read(buf []byte) (int, error) { clear(buf); return len(buf), nil }

func (p *packer) object(kind int, data []byte) [20]byte {
	p.header(kind, uint64(len(data)))
	p.deflate(data)
	return name(kind, data)
}

func (p *packer) delta(back int64, delta []byte) {
	p.header(ofs, uint64(len(delta)))
	p.write(backward(back))
	p.deflate(delta)
}

func name(kind int, data []byte) [20]byte {
	words := map[int]string{commit: "commit", tree: "tree", blob: "blob"}
	return sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", words[kind], len(data)), data...))
}

func entry(mode, path string, data []byte) []byte {
	id := name(blob, data)
	return append(append([]byte(mode+" "+path), 0), id[:]...)
}

func commitOf(tree [20]byte, parents ...string) []byte {
	data := fmt.Appendf(nil, "tree %x\n", tree)
	for _, parent := range parents {
		data = append(data, "parent "+parent+"\n"...)
	}
	return append(data, "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"...)
}

func backward(distance int64) []byte {
	digits := []byte{byte(distance & 0x7f)}
	for distance >>= 7; distance > 0; distance >>= 7 {
		distance--
		digits = append([]byte{byte(distance&0x7f) | 0x80}, digits...)
	}
	return digits
}

func varint(n uint64) (digits []byte) {
	for ; n >= 0x80; n >>= 7 {
		digits = append(digits, byte(n)|0x80)
	}
	return append(digits, byte(n))
}

// copies is a delta whose result is count times the first size bytes.
func copies(source, size, count uint64) []byte {
	delta := append(varint(source), varint(size*count)...)
	return append(delta, bytes.Repeat([]byte{0x80 | 0x10 | 0x20 | 0x40, byte(size), byte(size >> 8), byte(size >> 16)}, int(count))...)
}
