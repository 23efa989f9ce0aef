package buildpacks

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
)

// cargoTOML is what we read of Cargo's manifest, as doc.rust-lang.org/cargo
// describes it.
type cargoTOML struct {
	Package struct {
		Name        string `toml:"name"`
		DefaultRun  string `toml:"default-run"`
		RustVersion any    `toml:"rust-version"` // or a table: inherited
	} `toml:"package"`
	Bin []struct {
		Name string `toml:"name"`
		Path string `toml:"path"`
	} `toml:"bin"`
	Workspace struct {
		Members []string `toml:"members"`
		Exclude []string `toml:"exclude"`
		Package struct {
			RustVersion string `toml:"rust-version"`
		} `toml:"package"`
	} `toml:"workspace"`
	Dependencies map[string]any `toml:"dependencies"`
}

// rustApp is a Cargo package or workspace with the programs that it builds.
type rustApp struct {
	bins    []rustBin
	root    string // the name of the root package, if there is one
	lock    bool
	rocket  bool
	command string // in place of cargo build
	assets  *assets
}

// rustBin is a program, and the package that it belongs to.
type rustBin struct{ name, pkg string }

func detectRust(src source) (*Plan, error) {
	manifest := cargoTOML{}
	found, err := src.readTOML("Cargo.toml", &manifest)
	if err != nil || !found {
		return nil, err
	}
	app := &rustApp{root: manifest.Package.Name, lock: src.has("Cargo.lock"), command: src.options.BuildCommand}
	plan := &Plan{
		Language: "Rust", Reasons: []string{"Cargo.toml"}, Port: defaultPort, Render: app.render, Processes: models.Processes{},
	}
	if plan.Need, err = rustVersion(src, manifest); err != nil {
		return nil, err
	}
	if !app.lock {
		plan.Reasons = append(plan.Reasons, "no Cargo.lock: versions may change between builds")
	}
	if app.assets, err = findAssets(src, plan); err != nil {
		return nil, err
	}
	if err := app.findBins(src, manifest); err != nil {
		return nil, err
	}
	return plan, app.choose(src, manifest, plan)
}

// rustVersion reads rustup's toolchain file, then the least version that the
// manifest names.
func rustVersion(src source, manifest cargoTOML) (*Requirement, error) {
	var file struct {
		Toolchain struct {
			Channel string `toml:"channel"`
		} `toml:"toolchain"`
	}
	wishes := []wish{}
	if _, err := src.readTOML("rust-toolchain.toml", &file); err != nil {
		return nil, err
	}
	wishes = append(wishes, wish{file.Toolchain.Channel, "rust-toolchain.toml"})
	text, err := src.line("rust-toolchain")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(text, "[") {
		wishes = append(wishes, wish{text, "rust-toolchain"})
	}
	least, _ := manifest.Package.RustVersion.(string)
	if least == "" {
		least = manifest.Workspace.Package.RustVersion
	}
	if least != "" {
		wishes = append(wishes, wish{">=" + least, "rust-version in Cargo.toml"})
	}
	return src.requirement("rust", wishes...)
}

// findBins lists the programs of the root package and of the workspace's.
func (a *rustApp) findBins(src source, root cargoTOML) error {
	dirs := []string{"."}
	for _, pattern := range root.Workspace.Members {
		found, err := fs.Glob(src.files, path.Clean(pattern))
		if err != nil {
			return models.Errorf(models.Failed, "workspace.members in Cargo.toml: %q is no pattern", pattern).WithField("Cargo.toml").
				WithRemedy("name directories, such as \"crates/*\"")
		}
		dirs = append(dirs, found...)
	}
	for _, dir := range slices.Compact(dirs) {
		member := cargoTOML{}
		found, err := src.readTOML(path.Join(dir, "Cargo.toml"), &member)
		if err != nil {
			return err
		}
		if !found || slices.Contains(root.Workspace.Exclude, dir) {
			continue
		}
		for _, name := range member.programs(src, dir) {
			a.bins = append(a.bins, rustBin{name, member.Package.Name})
		}
		_, rocket := member.Dependencies["rocket"]
		a.rocket = a.rocket || rocket
	}
	return nil
}

// programs are a package's: those of [[bin]], and those that Cargo finds by
// their place.
func (c cargoTOML) programs(src source, dir string) []string {
	var names, paths []string
	for _, bin := range c.Bin {
		names, paths = append(names, bin.Name), append(paths, bin.Path)
	}
	if src.has(path.Join(dir, "src/main.rs")) && !slices.Contains(paths, "src/main.rs") {
		names = append(names, c.Package.Name)
	}
	for _, pattern := range []string{"src/bin/*.rs", "src/bin/*/main.rs"} {
		found, _ := fs.Glob(src.files, path.Join(dir, pattern)) // the pattern is ours
		for _, name := range found {
			inside := strings.TrimPrefix(name, dir+"/")
			if !slices.Contains(paths, inside) {
				names = append(names, strings.TrimSuffix(strings.Split(inside, "/")[2], ".rs"))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// choose decides which program is the web process: the one that CARGO_BIN or
// default-run names, the root package's own, or the only one.
func (a *rustApp) choose(src source, root cargoTOML, plan *Plan) error {
	var names []string
	for _, bin := range a.bins {
		names = append(names, bin.name)
	}
	wanted, reason := src.options.Config["CARGO_BIN"], "CARGO_BIN"
	switch {
	case wanted != "":
	case root.Package.DefaultRun != "":
		wanted, reason = root.Package.DefaultRun, "default-run"
	case len(names) == 1:
		wanted, reason = names[0], "the only program"
	case slices.Contains(names, root.Package.Name):
		wanted, reason = root.Package.Name, "the root package's program"
	}
	switch {
	case len(names) == 0 && a.command == "":
		return models.Errorf(models.Failed, "Cargo.toml is there, but no package of it builds a program").WithField("Cargo.toml").
			WithRemedy("add src/main.rs or a [[bin]], or the members of the workspace")
	case wanted != "" && !slices.Contains(names, wanted):
		return models.Errorf(models.Failed, "%s names %s, which is no program of this repository", reason, wanted).WithField(reason).
			WithRemedy("name one of %s", strings.Join(names, ", "))
	case wanted != "":
		plan.Processes[models.WebProcess] = []string{"/app/bin/" + wanted}
		plan.Reasons = append(plan.Reasons, "program: "+wanted+", "+reason)
	case src.has("Procfile") || src.options.StartCommand != "":
		plan.Reasons = append(plan.Reasons, "programs: "+strings.Join(names, ", "))
	default:
		return models.Errorf(models.Failed, "several programs: %s", strings.Join(names, ", ")).
			WithRemedy("set default-run in Cargo.toml or the variable CARGO_BIN, or add a Procfile with a line such as `web: bin/%s`", names[0])
	}
	if wanted != "" && !src.has("Procfile") { // nothing can start the others
		a.bins = slices.DeleteFunc(a.bins, func(bin rustBin) bool { return bin.name != wanted })
	}
	return nil
}

// render keeps target/ between builds. Cargo compares times, and a commit's files
// all have the same second, so that the app's own are touched: they are compiled
// each time, what they depend on is not.
func (a *rustApp) render(images Images) string {
	file := render(images)
	context := a.assets.stage(file)
	file.from(images.Build, "build")
	file.line("ENV CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target")
	file.line("WORKDIR /src")
	file.line("COPY %s ./", context)
	file.run("find . -type f -exec touch {} + && "+a.build()+" && mkdir -p /out/bin /out/target && ln -s ../bin /out/target/release && "+a.collect(),
		cache("cargo-registry", "/cache/cargo/registry"), cache("cargo-git", "/cache/cargo/git"), cache("cargo-target", "/cache/target"))
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	if a.assets != nil {
		file.line("COPY --from=assets /app ./")
	} else {
		file.line("COPY . ./")
	}
	file.line("COPY --from=build /out ./")
	environment := []string{}
	if a.rocket {
		environment = append(environment, "ROCKET_ADDRESS=0.0.0.0", "ROCKET_PORT=8080")
	}
	return file.last(append(environment, "PATH=/app/bin:"+systemPath)...)
}

func (a *rustApp) build() string {
	if a.command != "" {
		return a.command
	}
	command := "cargo build --release"
	if a.lock {
		command += " --locked"
	}
	inRoot := !slices.ContainsFunc(a.bins, func(bin rustBin) bool { return bin.pkg != a.root })
	for _, bin := range a.bins {
		if !inRoot { // the root package is meant anyway, and may be called as a crate that it uses is
			command += " -p " + bin.pkg
		}
		command += " --bin " + bin.name
	}
	return command
}

// collect takes the programs out of the cache.
func (a *rustApp) collect() string {
	if a.command != "" || len(a.bins) == 0 {
		return "find /cache/target/release -maxdepth 1 -type f -perm /111 -exec cp {} /out/bin/ ';'"
	}
	command := "cp"
	for _, bin := range a.bins {
		command += " /cache/target/release/" + bin.name
	}
	return command + " /out/bin/"
}
