// Package objectdb reads the objects of a bare repository: packs through their
// mapped indexes, loose objects by path. A DB is cheap to open, holds what was
// there when it was opened, and may be read from many goroutines.
//
// The formats are those of git's Documentation/gitformat-pack.
package objectdb
