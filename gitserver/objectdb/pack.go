package objectdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/skypanel/sky/gitserver/object"
)

const (
	fanoutAt  = 8
	namesAt   = fanoutAt + 256*4
	entrySize = object.Size + 4 + 4 // name, CRC, offset
)

// pack is an open pack and its mapped index, of version 2.
type pack struct {
	file  *os.File
	index []byte
	count int
	end   int64 // where the entries end

	path     string // of the .pack file
	modified time.Time

	sorting sync.Once
	sorted  []place // once somebody asks
}

// place is where the i-th name of the index has its entry.
type place struct {
	offset int64
	i      int32
}

func openPack(indexPath string) (*pack, error) {
	path := strings.TrimSuffix(indexPath, ".idx") + ".pack"
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &pack{file: file, path: path}
	if err := p.mapIndex(indexPath); err != nil {
		return nil, errors.Join(err, p.close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.end, p.modified = info.Size()-object.Size, info.ModTime()
	return p, nil
}

func (p *pack) mapIndex(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < namesAt+2*object.Size {
		return fmt.Errorf("%s is too short for an index", path)
	}
	p.index, err = syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", path, err)
	}
	p.count = int(p.uint32(namesAt - 4))
	if string(p.index[:fanoutAt]) != "\377tOc\x00\x00\x00\x02" || len(p.index) < namesAt+p.count*entrySize+2*object.Size {
		return fmt.Errorf("%s is no index of version 2", path)
	}
	return nil
}

func (p *pack) close() error {
	err := p.file.Close()
	if p.index != nil {
		err = errors.Join(err, syscall.Munmap(p.index))
	}
	return err
}

func (p *pack) uint32(at int) uint32 { return binary.BigEndian.Uint32(p.index[at:]) }

func (p *pack) name(i int) []byte { return p.index[namesAt+i*object.Size:][:object.Size] }

// find returns where the object's entry begins.
func (p *pack) find(id object.ID) (offset int64, ok bool) {
	low := 0
	if id[0] > 0 {
		low = int(p.uint32(fanoutAt + 4*(int(id[0])-1)))
	}
	high := min(p.count, int(p.uint32(fanoutAt+4*int(id[0]))))
	for low < high {
		middle := (low + high) / 2
		switch order := bytes.Compare(id[:], p.name(middle)); {
		case order == 0:
			return p.offset(middle), true
		case order < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return 0, false
}

func (p *pack) offset(i int) int64 {
	offset := p.uint32(namesAt + p.count*(object.Size+4) + 4*i)
	const far = 1 << 31
	if offset&far == 0 {
		return int64(offset)
	}
	at := namesAt + p.count*entrySize + 8*int(offset&^far)
	if at+8 > len(p.index) {
		return -1 // read fails on it
	}
	return int64(binary.BigEndian.Uint64(p.index[at:]))
}
