package platform

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// An archive is a tar under zstd. Its members are, in this order:
//
//	manifest.json                what it is
//	database/<table>.jsonl       the rows, a line of JSON each
//	repositories/<app id>.git/…  as git lays them out
//	registry/…                   images that nodes pull
//	keys/…, admin-token          unless it is without keys
//	logs/…                       unless it is without logs
//	checksums.sha256             of all members before it, as sha256sum writes it
//
// The checksums come last, so that an archive that was cut off has none.
const (
	archiveFormat  = 1
	manifestName   = "manifest.json"
	checksumsName  = "checksums.sha256"
	databasePart   = "database"
	databasePrefix = databasePart + "/"
	tableSuffix    = ".jsonl"
	// The directories that go into the data directory as they are, as the first
	// admin's token does.
	repositoriesPart = "repositories"
	keysPart         = "keys"
	logsPart         = "logs"
	imagesPart       = "registry"
	maxManifest      = 1 << 20
)

// Manifest says what an archive holds.
type Manifest struct {
	Format int       `json:"format"`
	Sky    string    `json:"sky"`
	Time   time.Time `json:"time"`
	// Engine is the database that it was taken from; either can take it up.
	Engine string              `json:"engine"`
	Schema int64               `json:"schema"`
	Tables []store.DumpedTable `json:"tables"`
	Apps   int                 `json:"apps"`
	Keys   bool                `json:"keys"`
	Logs   bool                `json:"logs"`
	Images bool                `json:"images"`
}

// archiveWriter writes an archive's members one after the other.
type archiveWriter struct {
	zstd *zstd.Encoder
	tar  *tar.Writer
	sums bytes.Buffer
}

func newArchiveWriter(to io.Writer) (*archiveWriter, error) {
	encoder, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("begin archive: %w", err)
	}
	return &archiveWriter{zstd: encoder, tar: tar.NewWriter(encoder)}, nil
}

// add writes a member of exactly size bytes; more that content may have grown
// stay out.
func (a *archiveWriter) add(name string, size int64, modified time.Time, content io.Reader) error {
	header := tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: modified.UTC(), Format: tar.FormatPAX,
	}
	if err := a.tar.WriteHeader(&header); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(a.tar, sum), content, size); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	writeSum(&a.sums, name, sum.Sum(nil))
	return nil
}

// directory writes a directory, which may stay empty.
func (a *archiveWriter) directory(name string) error {
	header := tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(&header); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return nil
}

// text writes a member from memory.
func (a *archiveWriter) text(name string, text []byte) error {
	return a.add(name, int64(len(text)), time.Now(), bytes.NewReader(text))
}

// finish writes the checksums. Without it the archive is as good as cut off.
func (a *archiveWriter) finish() error {
	if err := a.text(checksumsName, bytes.Clone(a.sums.Bytes())); err != nil {
		return err
	}
	if err := errors.Join(a.tar.Close(), a.zstd.Close()); err != nil {
		return fmt.Errorf("end archive: %w", err)
	}
	return nil
}

func writeSum(to *bytes.Buffer, name string, sum []byte) {
	_, _ = fmt.Fprintf(to, "%s  %s\n", hex.EncodeToString(sum), name)
}

// member is a file or a directory of an archive.
type member struct {
	name      string
	directory bool
	modified  time.Time
}

// VerifyArchive reads an archive to its end. It returns models.Invalid for one
// that is damaged or was cut off, and models.Conflict for one that a newer Sky
// made.
func VerifyArchive(archive io.Reader) (Manifest, error) {
	return readArchive(archive, func(Manifest, member, io.Reader) error { return nil })
}

// readArchive calls take for every member but the manifest and the checksums.
// Only when it returns no error was the archive whole: until then nothing that
// was taken may be used.
func readArchive(archive io.Reader, take func(Manifest, member, io.Reader) error) (Manifest, error) {
	decoder, err := zstd.NewReader(archive, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return Manifest{}, fmt.Errorf("begin archive: %w", err)
	}
	defer decoder.Close()
	r := archiveReader{tar: tar.NewReader(decoder), take: take}
	if err := r.readManifest(); err != nil {
		return Manifest{}, err
	}
	for !r.ended {
		if err := r.next(); err != nil {
			return Manifest{}, err
		}
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return Manifest{}, damaged(errors.Join(errors.New("something comes behind the checksums"), err))
	}
	if _, err := io.Copy(io.Discard, decoder); err != nil {
		return Manifest{}, damaged(err)
	}
	return r.manifest, nil
}

// damaged is what people read of every way in which an archive can be unsound.
func damaged(cause error) error {
	return &models.Error{
		Code: models.Invalid, Message: "the backup is damaged, or was cut off", Field: "file",
		Remedy: "take it from another copy; nothing was changed", Cause: cause,
	}
}

type archiveReader struct {
	tar      *tar.Reader
	take     func(Manifest, member, io.Reader) error
	manifest Manifest
	sums     bytes.Buffer
	ended    bool
}

func (r *archiveReader) readManifest() error {
	header, err := r.tar.Next()
	if err != nil {
		return damaged(err)
	}
	if header.Name != manifestName || header.Size > maxManifest {
		return damaged(fmt.Errorf("it begins with %q", header.Name))
	}
	text, err := io.ReadAll(r.tar)
	if err != nil {
		return damaged(err)
	}
	sum := sha256.Sum256(text)
	writeSum(&r.sums, manifestName, sum[:])
	if err := json.Unmarshal(text, &r.manifest); err != nil {
		return damaged(err)
	}
	return r.manifest.check()
}

// check refuses what a newer Sky made.
func (m Manifest) check() error {
	newest, err := store.NewestSchema()
	if err != nil {
		return err
	}
	if m.Format <= archiveFormat && m.Schema <= newest {
		return nil
	}
	return models.Errorf(models.Conflict, "the backup was made by a newer sky (%s: format %d, schema %d; this one reads format %d, schema %d)",
		m.Sky, m.Format, m.Schema, archiveFormat, newest).WithField("file").WithRemedy("restore it with sky %s or a newer one", m.Sky)
}

// next reads one member.
func (r *archiveReader) next() error {
	header, err := r.tar.Next()
	if err != nil {
		return damaged(err)
	}
	name := path.Clean(header.Name)
	if name == checksumsName {
		r.ended = true
		return r.checkSums()
	}
	found := member{name: name, directory: header.Typeflag == tar.TypeDir, modified: header.ModTime}
	if !filepath.IsLocal(name) || strings.Contains(name, `\`) || !belongs(name) || (!found.directory && header.Typeflag != tar.TypeReg) {
		return damaged(fmt.Errorf("member %q", header.Name))
	}
	sum := sha256.New()
	content := &sourceReader{from: io.TeeReader(r.tar, sum)}
	if err := r.take(r.manifest, found, content); err != nil && content.err == nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return damaged(err)
	}
	if !found.directory {
		writeSum(&r.sums, name, sum.Sum(nil))
	}
	return nil
}

// belongs reports whether a restore has a place for a member. What has none is found
// when a backup is verified, not when it is needed.
func belongs(name string) bool {
	switch part, _, _ := strings.Cut(name, "/"); part {
	case databasePart, repositoriesPart, keysPart, logsPart, imagesPart, filepath.Base(TokenFile("")):
		return true
	}
	return false
}

func (r *archiveReader) checkSums() error {
	text, err := io.ReadAll(io.LimitReader(r.tar, int64(r.sums.Len())+1))
	if err != nil {
		return damaged(err)
	}
	if !bytes.Equal(text, r.sums.Bytes()) {
		return damaged(errors.New("checksums differ"))
	}
	return nil
}

// sourceReader remembers that it was the archive that could not be read, rather
// than what was made of it that could not be written.
type sourceReader struct {
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (r *sourceReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
