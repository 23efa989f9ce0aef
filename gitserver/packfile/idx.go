package packfile

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"

	"github.com/skypanel/sky/gitserver/object"
)

// sumEntries sets every entry's CRC in one sequential read of the pack.
func (in *intake) sumEntries() error {
	reader := bufio.NewReaderSize(io.NewSectionReader(in.file, packHeaderSize, in.end-packHeaderSize), 1<<20)
	buf := make([]byte, 64<<10)
	for i := range int32(in.entries.length) {
		e := in.entries.at(i)
		for left := in.entries.end(i, in.end) - e.offset; left > 0; {
			part := buf[:min(left, int64(len(buf)))]
			if _, err := io.ReadFull(reader, part); err != nil {
				return err
			}
			e.crc = crc32.Update(e.crc, crc32.IEEETable, part)
			left -= int64(len(part))
		}
	}
	return nil
}

// writeIndex writes an index of version 2, durably and as git would.
func writeIndex(path string, byName names, pack object.ID) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	digest := sha1.New()
	w := indexWriter{Writer: bufio.NewWriterSize(io.MultiWriter(file, digest), 64<<10)}
	w.tables(byName)
	w.bytes(pack[:])
	err = w.Flush()
	if err == nil {
		_, err = file.Write(digest.Sum(nil))
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// indexWriter leaves errors to bufio, which keeps the first for Flush.
type indexWriter struct{ *bufio.Writer }

func (w indexWriter) bytes(data []byte) { _, _ = w.Write(data) }

func (w indexWriter) uint32(v uint32) {
	var data [4]byte
	binary.BigEndian.PutUint32(data[:], v)
	w.bytes(data[:])
}

// tables writes, in turn: magic and version, the fan-out of first bytes, names,
// CRCs, offsets, and the offsets that need 64 bits.
func (w indexWriter) tables(byName names) {
	w.bytes([]byte("\377tOc\x00\x00\x00\x02"))
	at := 0
	for first := range 256 {
		for at < len(byName.order) && int(byName.table.at(byName.order[at]).id[0]) <= first {
			at++
		}
		w.uint32(uint32(at))
	}
	for _, i := range byName.order {
		w.bytes(byName.table.at(i).id[:])
	}
	for _, i := range byName.order {
		w.uint32(byName.table.at(i).crc)
	}
	w.offsets(byName)
}

func (w indexWriter) offsets(byName names) {
	const far = 1 << 31
	var distant []int64
	for _, i := range byName.order {
		offset := byName.table.at(i).offset
		if offset < far {
			w.uint32(uint32(offset))
			continue
		}
		w.uint32(far | uint32(len(distant)))
		distant = append(distant, offset)
	}
	for _, offset := range distant {
		w.uint32(uint32(offset >> 32))
		w.uint32(uint32(offset))
	}
}
