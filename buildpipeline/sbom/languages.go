package sbom

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/pelletier/go-toml/v2"
)

// nodePackage is where package managers put the manifest of a package.
const nodePackage = `(^|/)node_modules/(@[^/@]+/)?[^/@.][^/]*/package\.json$`

func readNode(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	return addNode(found, file.path, text)
}

// addNode reads a package.json. Those without a name and a version are parts of a
// package, such as marks of how its files are to be loaded.
func addNode(found *findings, path string, text []byte) error {
	manifest := struct {
		Name, Version string
		License       any
	}{}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err
	}
	if manifest.Name == "" || manifest.Version == "" {
		return nil
	}
	namespace, name, scoped := strings.Cut(manifest.Name, "/")
	if !scoped {
		namespace, name = "", manifest.Name
	}
	license, _ := manifest.License.(string)
	found.add(Package{Type: packageurl.TypeNPM, Namespace: namespace, Name: name, Version: manifest.Version, License: license, Path: path})
	return nil
}

// pythonName folds what PyPI takes for the same name (its simple index's rules).
var pythonName = regexp.MustCompile(`[-_.]+`)

// readPython reads what an installed distribution says of itself (the core
// metadata of the packaging specifications).
func readPython(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(text), "\n\n")
	fields, err := headers([]byte(head))
	if err != nil {
		return err
	}
	license := fields.Get("License-Expression")
	if license == "" && !strings.Contains(fields.Get("License"), "\n") && len(fields.Get("License")) < 64 {
		license = fields.Get("License") // some write all of it
	}
	name := strings.ToLower(pythonName.ReplaceAllString(fields.Get("Name"), "-"))
	found.add(Package{Type: packageurl.TypePyPi, Name: name, Version: fields.Get("Version"), License: license, Path: file.path})
	return nil
}

// gemStub is the second line of an installed gem's specification, which RubyGems
// itself reads instead of running the rest.
var gemStub = regexp.MustCompile(`(?m)^# stub: (\S+) (\S+) (\S+) `)

func readRuby(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	stub := gemStub.FindSubmatch(text)
	if stub == nil {
		return errors.New("no stub line")
	}
	gem := Package{Type: packageurl.TypeGem, Name: string(stub[1]), Version: string(stub[2]), Path: file.path}
	if platform := string(stub[3]); platform != "ruby" {
		gem.Qualifiers = map[string]string{"platform": platform}
	}
	found.add(gem)
	return nil
}

func readComposer(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	type installed struct {
		Name, Version string
		License       []string
	}
	var list struct{ Packages []installed }
	if err := json.Unmarshal(text, &list); err != nil { // Composer 1 has a bare list
		if err := json.Unmarshal(text, &list.Packages); err != nil {
			return err
		}
	}
	for _, one := range list.Packages {
		vendor, name, _ := strings.Cut(one.Name, "/")
		found.add(Package{
			Type: packageurl.TypeComposer, Namespace: vendor, Name: name, Version: one.Version,
			License: strings.Join(one.License, " OR "), Path: file.path,
		})
	}
	return nil
}

// readRust reads a lock file that lies beside its program: a program itself does
// not name its crates. It may list more than was linked.
func readRust(found *findings, file member) error {
	text, err := file.text()
	if err != nil {
		return err
	}
	lock := struct {
		Package []struct{ Name, Version, Source string }
	}{}
	if err := toml.Unmarshal(text, &lock); err != nil {
		return err
	}
	for _, crate := range lock.Package {
		if crate.Source != "" { // others are the repository's own
			found.add(Package{Type: packageurl.TypeCargo, Name: crate.Name, Version: crate.Version, Path: file.path})
		}
	}
	return nil
}
