package sbom

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/package-url/packageurl-go"
)

// runtimes are the variables by which official images say what they bring.
var runtimes = map[string]string{
	"NODE_VERSION": "node", "PYTHON_VERSION": "python", "GOLANG_VERSION": "golang", "RUBY_VERSION": "ruby", "PHP_VERSION": "php",
	"JAVA_VERSION": "java", "NGINX_VERSION": "nginx", "RUST_VERSION": "rust", "BUN_VERSION": "bun",
}

func runtimesOf(env []string) []Package {
	var known []Package
	for _, variable := range env {
		name, version, _ := strings.Cut(variable, "=")
		if runtime := runtimes[name]; runtime != "" && version != "" {
			known = append(known, Package{Type: packageurl.TypeGeneric, Name: runtime, Version: version})
		}
	}
	return known
}

var elfMagic = []byte("\x7fELF")

// readProgram finds what was linked into a Go program, which names its modules,
// and the version of Node.js.
func readProgram(found *findings, file member) error {
	data := bufio.NewReader(file.data)
	if magic, err := data.Peek(len(elfMagic)); err != nil || !bytes.Equal(magic, elfMagic) {
		return nil // a script, or empty
	}
	return spooled(data, file.size, func(program *os.File) error {
		if path.Base(file.path) == "node" {
			return addNodeItself(found, file.path, program)
		}
		info, err := buildinfo.Read(program)
		if err == nil {
			addGo(found, file.path, info)
		}
		return nil // not of Go, or stripped of what it was made of
	})
}

func addGo(found *findings, path string, info *buildinfo.BuildInfo) {
	found.add(goModule("stdlib", strings.TrimPrefix(info.GoVersion, "go"), path))
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		found.add(goModule(module.Path, module.Version, path))
	}
	if version := info.Main.Version; version != "" && version != "(devel)" {
		found.add(goModule(info.Main.Path, version, path))
	}
}

func goModule(module, version, path string) Package {
	namespace, name := "", module
	if slash := strings.LastIndexByte(module, '/'); slash >= 0 {
		namespace, name = module[:slash], module[slash+1:]
	}
	return Package{Type: packageurl.TypeGolang, Namespace: namespace, Name: name, Version: version, Path: path}
}

// nodeRelease is where Node.js' own sources are, which its program knows as
// process.release.
var nodeRelease = regexp.MustCompile(`nodejs\.org/download/release/v(\d+\.\d+\.\d+)/`)

// addNodeItself looks through the program of Node.js, a window at a time.
func addNodeItself(found *findings, path string, program *os.File) error {
	const window, overlap = 4 << 20, 256
	buffer := make([]byte, window)
	for at := int64(0); ; at += window - overlap {
		n, err := program.ReadAt(buffer, at)
		if place := bytes.Index(buffer[:n], []byte("nodejs.org/download/")); place >= 0 {
			if version := nodeRelease.FindSubmatch(buffer[place:min(n, place+overlap)]); version != nil {
				found.add(Package{Type: packageurl.TypeGeneric, Name: "node", Version: string(version[1]), Path: path})
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
