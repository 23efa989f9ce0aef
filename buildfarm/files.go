package buildfarm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// writeFiles writes all files as a tar archive, with times in nanoseconds: they
// change with a commit's contents.
func writeFiles(to io.Writer, files fs.FS) error {
	archive := tar.NewWriter(to)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return writeEntry(archive, files, name, entry)
	})
	return errors.Join(err, archive.Close())
}

func writeEntry(archive *tar.Writer, files fs.FS, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = fs.ReadLink(files, name); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.Format = name, tar.FormatPAX
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return errors.Join(err, file.Close())
}

// readFiles unpacks what writeFiles wrote into root, and at most so many bytes of it.
// Nothing is written outside of root, whatever links the archive holds.
func readFiles(from io.Reader, root *os.Root, most int64) error {
	var directories []*tar.Header
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the files: %w", err)
		}
		if most -= header.Size; most < 0 {
			return errors.New("read the files: they are more than a build may have")
		}
		if header.Typeflag == tar.TypeDir {
			directories = append(directories, header)
		}
		if err := readEntry(archive, header, root); err != nil {
			return fmt.Errorf("unpack %s: %w", header.Name, err)
		}
	}
	for _, header := range slices.Backward(directories) { // what is put into one makes it young
		err := errors.Join(root.Chmod(header.Name, header.FileInfo().Mode().Perm()), root.Chtimes(header.Name, header.ModTime, header.ModTime))
		if err != nil {
			return fmt.Errorf("unpack %s: %w", header.Name, err)
		}
	}
	return nil
}

func readEntry(archive *tar.Reader, header *tar.Header, root *os.Root) error {
	mode := header.FileInfo().Mode()
	switch header.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(header.Name, 0o700)
	case tar.TypeSymlink:
		return makeLink(root, header)
	case tar.TypeReg:
		file, err := root.OpenFile(header.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive)
		return errors.Join(err, file.Chmod(mode.Perm()), file.Close(), root.Chtimes(header.Name, header.ModTime, header.ModTime))
	default:
		return fmt.Errorf("it is neither a file nor a directory nor a link, but %q", header.Typeflag)
	}
}

// makeLink makes a symbolic link. Where it leads is for who follows it to check.
func makeLink(root *os.Root, header *tar.Header) error {
	if err := root.Symlink(header.Linkname, header.Name); err != nil {
		return err
	}
	at := unix.NsecToTimespec(header.ModTime.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(root.Name(), header.Name), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}
