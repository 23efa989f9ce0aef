package sbom

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"
)

// Subject is the image that is looked into.
type Subject struct {
	App   string
	Image string // its id
	Made  time.Time
	Env   []string // of its configuration
	Tool  string   // Sky's own version
}

// Package is one package that an image holds.
type Package struct {
	Type       string // of its package URL: "npm", "deb"
	Namespace  string
	Name       string
	Version    string
	License    string // as the package writes it
	Arch       string // where packages are of one
	Path       string // of the file that names it
	Qualifiers map[string]string
}

// Of reads an image's files, as a tar, and returns the document that lists their
// packages. The same files and subject make the same document. Files that are no
// sound list of packages are named in it, and otherwise passed over.
func Of(files io.Reader, subject Subject) ([]byte, error) {
	found := &findings{packages: map[string]Package{}}
	for _, known := range runtimesOf(subject.Env) {
		found.add(known)
	}
	archive := tar.NewReader(files)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found.document(subject)
		}
		if err != nil {
			return nil, fmt.Errorf("read the image's files: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := found.look(member{path: path.Clean(strings.TrimPrefix(header.Name, "/")), mode: header.FileInfo().Mode(), size: header.Size, data: archive}); err != nil {
			return nil, err
		}
	}
}

// findings gathers what the files of an image say.
type findings struct {
	packages map[string]Package // by package URL without the distribution
	distro   distro
	unread   []string
}

// look asks the first source that knows the file what is in it.
func (f *findings) look(file member) error {
	for _, from := range sources {
		if !from.holds(file) {
			continue
		}
		err := from.read(f, file)
		if errors.Is(err, errStorage) {
			return err
		}
		if err != nil {
			f.unread = append(f.unread, file.path)
		}
		return nil
	}
	return nil
}

// add notes a package, by the first file that names it.
func (f *findings) add(found Package) {
	if found.Name == "" {
		return
	}
	key := found.url(distro{})
	if _, known := f.packages[key]; !known {
		f.packages[key] = found
	}
}

// url is the package URL (the purl specification).
func (p Package) url(on distro) string {
	qualifiers := map[string]string{}
	for name, value := range p.Qualifiers {
		qualifiers[name] = value
	}
	namespace := p.Namespace
	if p.Type == packageurl.TypeDebian || p.Type == packageurl.TypeApk {
		namespace = cmp.Or(on.id, namespace)
		if on.version != "" {
			qualifiers["distro"] = on.id + "-" + on.version
		}
	}
	if p.Arch != "" {
		qualifiers["arch"] = p.Arch
	}
	return packageurl.NewPackageURL(p.Type, namespace, p.Name, p.Version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
}

func (f *findings) document(subject Subject) ([]byte, error) {
	document := cdx.NewBOM()
	document.Metadata = &cdx.Metadata{
		Timestamp: subject.Made.UTC().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "sky", Version: subject.Tool}}},
		Component: &cdx.Component{
			Type: cdx.ComponentTypeContainer, Name: subject.App, Version: subject.Image, BOMRef: subject.Image,
		},
	}
	if len(f.unread) > 0 {
		slices.Sort(f.unread)
		properties := []cdx.Property{}
		for _, name := range f.unread {
			properties = append(properties, cdx.Property{Name: "sky:unreadable", Value: name})
		}
		document.Metadata.Properties = &properties
	}
	components := f.components()
	document.Components = &components
	text := &bytes.Buffer{}
	encoder := cdx.NewBOMEncoder(text, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(document, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("write the list of packages: %w", err)
	}
	return text.Bytes(), nil
}

// components are the packages in the order of their URLs, behind the distribution.
func (f *findings) components() []cdx.Component {
	components := []cdx.Component{}
	for _, found := range f.packages {
		components = append(components, found.component(f.distro))
	}
	slices.SortFunc(components, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	if f.distro.id == "" {
		return components
	}
	return slices.Insert(components, 0, cdx.Component{
		Type: cdx.ComponentTypeOS, Name: f.distro.id, Version: f.distro.version, BOMRef: "os:" + f.distro.id, Description: f.distro.name,
	})
}

func (p Package) component(on distro) cdx.Component {
	url := p.url(on)
	made := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Group: p.Namespace, Name: p.Name, Version: p.Version, PackageURL: url, BOMRef: url,
	}
	if p.Type == packageurl.TypeGeneric {
		made.Type = cdx.ComponentTypePlatform
	}
	if p.License != "" {
		made.Licenses = &cdx.Licenses{{License: &cdx.License{Name: p.License}}}
	}
	if p.Path != "" {
		made.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: "/" + p.Path}}}
	}
	return made
}
