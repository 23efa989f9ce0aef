package sbom

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/package-url/packageurl-go"
)

// maxDepth is how many archives within one another are looked into: a Spring Boot
// jar holds those of its libraries.
const maxDepth = 3

var (
	mavenProperties = regexp.MustCompile(`^META-INF/maven/[^/]+/[^/]+/pom\.properties$`)
	nestedArchive   = regexp.MustCompile(`\.jar$`)
	zippedNode      = regexp.MustCompile(nodePackage)
	// jarName is what build tools call the jar of a version.
	jarName = regexp.MustCompile(`^(.+?)-(\d[0-9A-Za-z.+_-]*)\.jar$`)
)

// readArchive looks into Java's archives, and those in which Yarn keeps packages.
func readArchive(found *findings, file member) error {
	return spooled(file.data, file.size, func(archive *os.File) error {
		return addArchive(found, file.path, archive, file.size, 1)
	})
}

func addArchive(found *findings, name string, data io.ReaderAt, size int64, depth int) error {
	archive, err := zip.NewReader(data, size)
	if err != nil {
		return err
	}
	named := false
	for _, entry := range archive.File {
		if entry.UncompressedSize64 > maxList {
			continue
		}
		inside := name + "!/" + entry.Name
		switch {
		case mavenProperties.MatchString(entry.Name):
			named = true
			err = withText(entry, func(text []byte) error { return addMaven(found, inside, text) })
		case zippedNode.MatchString(entry.Name):
			err = withText(entry, func(text []byte) error { return addNode(found, inside, text) })
		case nestedArchive.MatchString(entry.Name) && depth < maxDepth:
			err = withText(entry, func(text []byte) error {
				return addArchive(found, inside, bytes.NewReader(text), int64(len(text)), depth+1)
			})
		}
		if err != nil {
			return err
		}
	}
	if parts := jarName.FindStringSubmatch(path.Base(name)); parts != nil && !named {
		found.add(Package{Type: packageurl.TypeMaven, Name: parts[1], Version: parts[2], Path: name})
	}
	return nil
}

func withText(entry *zip.File, use func([]byte) error) error {
	reader, err := entry.Open()
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	text, err := io.ReadAll(io.LimitReader(reader, maxList))
	if err != nil {
		return err
	}
	return use(text)
}

// addMaven reads what Maven writes into each jar that it makes: plain "name=value"
// lines.
func addMaven(found *findings, path string, text []byte) error {
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, isField := strings.Cut(strings.TrimSpace(line), "="); isField {
			fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	found.add(Package{
		Type: packageurl.TypeMaven, Namespace: fields["groupId"], Name: fields["artifactId"], Version: fields["version"], Path: path,
	})
	return nil
}
