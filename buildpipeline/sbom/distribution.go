package sbom

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strings"

	"github.com/joho/godotenv"
	"github.com/package-url/packageurl-go"
)

// distro is the distribution that an image rests on.
type distro struct{ id, version, name string }

// readDistro reads os-release (its manual page, os-release(5)).
func readDistro(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	fields, err := godotenv.UnmarshalBytes(text)
	if err == nil {
		found.distro = distro{fields["ID"], fields["VERSION_ID"], fields["PRETTY_NAME"]}
	}
	return err
}

// readDebian reads the database of dpkg, or a file of those into which images
// without dpkg have it split. Its paragraphs are written like mail headers.
func readDebian(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	for paragraph := range bytes.SplitSeq(text, []byte("\n\n")) {
		fields, err := headers(paragraph)
		if err != nil {
			return err
		}
		if status := fields.Get("Status"); status != "" && !strings.HasSuffix(status, " installed") {
			continue // removed, but for its configuration
		}
		found.add(Package{
			Type: packageurl.TypeDebian, Namespace: "debian", Name: fields.Get("Package"), Version: fields.Get("Version"),
			Arch: fields.Get("Architecture"), Path: file.path,
		})
	}
	return nil
}

// headers reads "Name: value" lines up to the first empty one.
func headers(text []byte) (textproto.MIMEHeader, error) {
	text = append(bytes.Trim(text, "\n"), "\n\n"...)
	fields, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(text))).ReadMIMEHeader()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return fields, err
}

// readAlpine reads the database of apk: a letter a field, an empty line between
// packages.
func readAlpine(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		made := Package{Type: packageurl.TypeApk, Namespace: "alpine", Path: file.path}
		for line := range strings.Lines(paragraph) {
			letter, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch letter {
			case "P":
				made.Name = value
			case "V":
				made.Version = value
			case "A":
				made.Arch = value
			case "L":
				made.License = value
			}
		}
		found.add(made)
	}
	return nil
}
