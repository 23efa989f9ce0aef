package buildpacks

import (
	"testing"
)

const cargoHello = "[package]\nname = \"hello\"\nrust-version = \"1.70\"\n"

func TestRustDockerfiles(t *testing.T) {
	checkGoldens(t, map[string]goldenCase{
		"rust-only": {
			files: repo{"Cargo.toml": cargoHello, "Cargo.lock": "", "src/main.rs": "", "rust-toolchain.toml": "[toolchain]\nchannel = \"stable\"\n"},
			web:   []string{"/app/bin/hello"}, reasons: "Cargo.toml; program: hello, the only program",
		},
		"rust-rocket-default-run": {
			files: repo{
				"Cargo.toml":  "[package]\nname = \"hello\"\ndefault-run = \"web\"\n[dependencies]\nrocket = \"0.5\"\n",
				"src/main.rs": "", "src/bin/web.rs": "", "src/bin/more/main.rs": "",
			},
			web: []string{"/app/bin/web"}, reasons: "Cargo.toml; no Cargo.lock: versions may change between builds; program: web, default-run",
		},
		"rust-workspace": {
			files: repo{
				"Cargo.toml": "[workspace]\nmembers = [\"crates/*\"]\n", "Cargo.lock": "", "Procfile": "web: a\n",
				"crates/a/Cargo.toml": "[package]\nname = \"a\"\n[[bin]]\nname = \"a\"\npath = \"src/main.rs\"\n", "crates/a/src/main.rs": "",
				"crates/b/Cargo.toml": "[package]\nname = \"b\"\n", "crates/b/src/main.rs": "",
			},
			web: []string{"a"}, reasons: "Cargo.toml; programs: a, b; processes from Procfile: web",
		},
	})
}

func TestRustRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		files           repo
		config          map[string]string
		message, remedy string
	}{
		"library":   {repo{"Cargo.toml": cargoHello, "src/lib.rs": ""}, nil, "no package of it builds a program", "src/main.rs"},
		"ambiguous": {repo{"Cargo.toml": cargoHello, "src/bin/a.rs": "", "src/bin/b.rs": ""}, nil, "several programs: a, b", "CARGO_BIN"},
		"unknown":   {repo{"Cargo.toml": cargoHello, "src/main.rs": ""}, map[string]string{"CARGO_BIN": "x"}, "CARGO_BIN names x", "name one of hello"},
		"damaged":   {repo{"Cargo.toml": "[package\n"}, nil, "Cargo.toml line 1 is not valid TOML", "git diff"},
		"too new":   {repo{"Cargo.toml": cargoHello, "src/main.rs": "", "rust-toolchain": "1.60"}, nil, "rust-toolchain asks for 1.60, but rust-version", "the same version"},
	} {
		t.Run(name, func(t *testing.T) {
			requireRefusal(t, test.files, Options{Config: test.config}, test.message, test.remedy)
		})
	}
}
