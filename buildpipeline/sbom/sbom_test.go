package sbom

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"
)

// image is a tar of files, all of them executable.
func image(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	written := &bytes.Buffer{}
	archive := tar.NewWriter(written)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), Typeflag: tar.TypeReg}))
		_, err := archive.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return written
}

func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	written := &bytes.Buffer{}
	archive := zip.NewWriter(written)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entry, err := archive.Create(name)
		require.NoError(t, err)
		_, err = entry.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return written.String()
}

var subject = Subject{App: "shop", Image: "sha256:1", Made: time.Unix(0, 0), Tool: "v1"}

// document reads what Of wrote.
func document(t *testing.T, files map[string]string, about Subject) cdx.BOM {
	t.Helper()
	text, err := Of(image(t, files), about)
	require.NoError(t, err)
	read := cdx.BOM{}
	require.NoError(t, json.Unmarshal(text, &read))
	return read
}

func urls(document cdx.BOM) []string {
	var all []string
	if document.Components == nil {
		return nil
	}
	for _, component := range *document.Components {
		all = append(all, component.PackageURL)
	}
	return all
}

const osRelease = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"

const dpkgStatus = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Conffiles:
 /etc/ld.so.conf.d/x.conf 1234
Description: GNU C Library
 Long text:
 .
 and more

Package: removed
Status: deinstall ok config-files
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025a-0+deb12u1
`

// TestEveryKindOfList: what each ecosystem leaves in an image is read.
func TestEveryKindOfList(t *testing.T) {
	inner := zipped(t, map[string]string{"META-INF/maven/g/inner/pom.properties": "#made\nartifactId=inner\r\ngroupId=org.g\nversion=1.0\n"})
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"dpkg": {map[string]string{"var/lib/dpkg/status": dpkgStatus}, []string{
			"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64", "pkg:deb/debian/tzdata@2025a-0%2Bdeb12u1?arch=all",
		}},
		"dpkg in parts": {map[string]string{"var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n"}, []string{
			"pkg:deb/debian/base-files@12?arch=amd64",
		}},
		"apk": {map[string]string{"lib/apk/db/installed": "C:x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:zlib\nV:1.3\nA:x86_64\n"}, []string{
			"pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64", "pkg:apk/alpine/zlib@1.3?arch=x86_64",
		}},
		"npm": {map[string]string{
			"app/package.json":                                           `{"name": "shop", "version": "1.0.0"}`,
			"app/node_modules/ms/package.json":                           `{"name": "ms", "version": "2.1.3", "license": "MIT"}`,
			"app/node_modules/.pnpm/a@1/node_modules/@s/a/package.json":  `{"name": "@s/a", "version": "1.0.0", "license": {"type": "MIT"}}`,
			"app/node_modules/ms/dist/package.json":                      `{"type": "module"}`,
			"app/node_modules/ms/node_modules/debug/package.json":        `{"name": "debug", "version": "4.0.0"}`,
			"app/.yarn/cache/left-pad-npm-1.3.0-1234567890-abcdef12.zip": zipped(t, map[string]string{"node_modules/left-pad/package.json": `{"name": "left-pad", "version": "1.3.0"}`}),
		}, []string{"pkg:npm/%40s/a@1.0.0", "pkg:npm/debug@4.0.0", "pkg:npm/left-pad@1.3.0", "pkg:npm/ms@2.1.3"}},
		"python": {map[string]string{
			"venv/lib/python3.11/site-packages/Flask_Login-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Flask_Login\nVersion: 1.0\nLicense: MIT\n\nName: not this\n",
			"usr/lib/python3/dist-packages/six-1.16.0.egg-info":                    "Metadata-Version: 1.2\nName: six\nVersion: 1.16.0\n",
		}, []string{"pkg:pypi/flask-login@1.0", "pkg:pypi/six@1.16.0"}},
		"ruby": {map[string]string{
			"usr/share/rubygems-integration/all/specifications/rack-2.2.6.gemspec":  "# -*- encoding: utf-8 -*-\n# stub: rack 2.2.6 ruby lib\n",
			"bundle/ruby/3.1.0/specifications/nokogiri-1.15.0-x86_64-linux.gemspec": "# stub: nokogiri 1.15.0 x86_64-linux lib\n",
			"bundle/ruby/3.1.0/gems/rack-2.2.6/rack.gemspec":                        "Gem::Specification.new",
			"usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec":     "# stub: json 2.6.1 ruby lib\n",
		}, []string{"pkg:gem/json@2.6.1", "pkg:gem/nokogiri@1.15.0?platform=x86_64-linux", "pkg:gem/rack@2.2.6"}},
		"composer": {map[string]string{
			"app/vendor/composer/installed.json": `{"packages": [{"name": "monolog/monolog", "version": "3.5.0", "license": ["MIT"]}]}`,
			"old/vendor/composer/installed.json": `[{"name": "psr/log", "version": "1.1.4"}]`,
		}, []string{"pkg:composer/monolog/monolog@3.5.0", "pkg:composer/psr/log@1.1.4"}},
		"rust": {map[string]string{
			"app/Cargo.lock": "[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\nsource = \"registry+https://x\"\n",
		}, []string{"pkg:cargo/serde@1.0.1"}},
		"java": {map[string]string{"app/sky/app.jar": zipped(t, map[string]string{
			"BOOT-INF/lib/inner-1.0.jar": inner, "BOOT-INF/lib/slf4j-api-2.0.9.jar": zipped(t, nil),
		})}, []string{"pkg:maven/org.g/inner@1.0", "pkg:maven/slf4j-api@2.0.9"}},
		"nothing": {map[string]string{"app/page.html": "hello", "bin/sh": "\x7fELF", "usr/bin/script": strings.Repeat("#", 100<<10)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, urls(document(t, test.files, subject)))
		})
	}
}

// TestPrograms: a Go program names its modules, and Node.js its version.
func TestPrograms(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	node := "\x7fELF" + strings.Repeat("\x00", 5<<20) + "https://nodejs.org/download/release/v22.12.0/node-v22.12.0.tar.gz"
	found := urls(document(t, map[string]string{"usr/local/bin/node": node, "app/bin/shop": string(self)}, subject))
	require.Contains(t, found, "pkg:generic/node@22.12.0")
	require.True(t, slices.ContainsFunc(found, func(url string) bool { return strings.HasPrefix(url, "pkg:golang/stdlib@1.") }))
}

// TestDocument: it says what it is about, is the same each time, and names what
// could not be read.
func TestDocument(t *testing.T) {
	about := subject
	about.Env = []string{"PATH=/bin", "NODE_VERSION=22.1.0"}
	files := map[string]string{
		"usr/lib/os-release": osRelease, "var/lib/dpkg/status": dpkgStatus, "app/node_modules/broken/package.json": "{", "app/x.jar": "no zip",
	}
	read := document(t, files, about)
	require.Equal(t, cdx.SpecVersion1_6, read.SpecVersion)
	require.Equal(t, "shop", read.Metadata.Component.Name)
	require.Equal(t, "sha256:1", read.Metadata.Component.Version)
	require.Equal(t, []cdx.Property{
		{Name: "sky:unreadable", Value: "app/node_modules/broken/package.json"}, {Name: "sky:unreadable", Value: "app/x.jar"},
	}, *read.Metadata.Properties)
	components := *read.Components
	require.Equal(t, cdx.ComponentTypeOS, components[0].Type)
	require.Equal(t, []string{
		"", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
		"pkg:deb/debian/tzdata@2025a-0%2Bdeb12u1?arch=all&distro=debian-12", "pkg:generic/node@22.1.0",
	}, urls(read))
	require.Equal(t, "/var/lib/dpkg/status", (*components[1].Evidence.Occurrences)[0].Location)
	first, err := Of(image(t, files), about)
	require.NoError(t, err)
	second, err := Of(image(t, files), about)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

// TestCutOff: half an image is no image.
func TestCutOff(t *testing.T) {
	whole, err := io.ReadAll(image(t, map[string]string{"var/lib/dpkg/status": dpkgStatus}))
	require.NoError(t, err)
	_, err = Of(bytes.NewReader(whole[:700]), subject)
	require.ErrorContains(t, err, "read the image's files")
}
