package sbom

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
)

// member is one regular file of the image. Its data can be read once.
type member struct {
	path string
	mode fs.FileMode
	size int64
	data io.Reader
}

// source is a kind of file that says what packages there are.
type source struct {
	holds func(member) bool
	read  func(*findings, member) error
}

// sources are asked in this order.
var sources = []source{
	{pathMatches(`^(etc|usr/lib)/os-release$`), readDistro},
	{pathMatches(`^var/lib/dpkg/(status|status\.d/[^/]+)$`), readDebian},
	{pathMatches(`^lib/apk/db/installed$`), readAlpine},
	{pathMatches(nodePackage), readNode},
	{pathMatches(`\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)$`), readPython},
	{pathMatches(`(^|/)specifications/(default/)?[^/]+\.gemspec$`), readRuby},
	{pathMatches(`(^|/)vendor/composer/installed\.json$`), readComposer},
	{pathMatches(`(^|/)Cargo\.lock$`), readRust},
	{pathMatches(`\.([jwe]ar|zip)$`), readArchive},
	{isProgram, readProgram},
}

func pathMatches(pattern string) func(member) bool {
	matcher := regexp.MustCompile(pattern)
	return func(file member) bool { return matcher.MatchString(file.path) }
}

// isProgram: machine code that can be run, which libraries are not marked as.
func isProgram(file member) bool {
	return file.mode&0o111 != 0 && file.size > 64<<10 && !strings.Contains(path.Base(file.path), ".so")
}

const (
	// maxList bounds a file that lists packages, and maxSpool one that is kept
	// aside to look into.
	maxList  = 32 << 20
	maxSpool = 1 << 30
)

var errTooLarge = errors.New("too large to be a list of packages")

// text reads the whole file.
func (m member) text() ([]byte, error) {
	if m.size > maxList {
		return nil, errTooLarge
	}
	return io.ReadAll(m.data)
}

// errStorage is a failure of this server's own disk.
var errStorage = errors.New("keep a file of the image aside")

// spooled calls look with a file that can be read anywhere.
func spooled(data io.Reader, size int64, look func(*os.File) error) error {
	if size > maxSpool {
		return errTooLarge
	}
	file, err := os.CreateTemp("", "sky-sbom-")
	if err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	defer func() { _ = file.Close() }()
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	if _, err := io.Copy(file, data); err != nil {
		return fmt.Errorf("%w: %w", errStorage, err)
	}
	return look(file)
}
