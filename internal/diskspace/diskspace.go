// Package diskspace asks how much room a file system has.
package diskspace

import "golang.org/x/sys/unix"

// Of returns the bytes of the file system that holds dir that are free to who is
// not root, and all that it has.
func Of(dir string) (free, total int64, err error) {
	var stat unix.Statfs_t
	err = unix.Statfs(dir, &stat)
	return int64(stat.Bavail) * stat.Bsize, int64(stat.Blocks) * stat.Bsize, err
}
