package buildpacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/skypanel/sky/models"
	"github.com/tidwall/jsonc"
	"go.yaml.in/yaml/v3"
)

// source is the files of an app with the questions that buildpacks ask.
type source struct {
	files fs.FS // of the app's root directory
	// repository is all files of the commit, and root the directory in it that
	// holds the app; "." where that is all of it.
	repository fs.FS
	root       string
	options    Options
	// procfile is what the app's Procfile says; Detect reads it.
	procfile models.Processes
	// whoseBuild and whoseStart say who decided the commands of options.
	whoseBuild, whoseStart string
}

// applyDefaults takes a Runtime's commands where the app has none.
func (s *source) applyDefaults() {
	s.whoseBuild, s.whoseStart = "the app's", "the app's"
	defaults := s.options.Defaults
	if s.options.BuildCommand == "" && defaults.Build != "" {
		s.options.BuildCommand, s.whoseBuild = defaults.Build, "the runtime's"
	}
	if !s.webDecided() && defaults.Start != "" {
		s.options.StartCommand, s.whoseStart = defaults.Start, "the runtime's"
	}
}

func newSource(repository fs.FS, options Options) (source, error) {
	root := path.Clean(strings.Trim(options.Root, "/"))
	src := source{files: repository, repository: repository, root: root, options: options}
	if root == "." {
		return src, nil
	}
	info, err := fs.Stat(repository, root)
	if err != nil || !info.IsDir() {
		return source{}, models.Errorf(models.Failed, "the repository has no directory %s", root).WithField("root_dir").
			WithRemedy("sky apps set root-dir=DIRECTORY names the one that holds the app; an empty one is the whole repository")
	}
	src.files, err = fs.Sub(repository, root)
	if err != nil {
		return source{}, models.Errorf(models.Internal, "open %s: %w", root, err)
	}
	return src, nil
}

// webDecided reports whether the app's owner said how web starts, in a Procfile
// or by the App's start command.
func (s source) webDecided() bool {
	return s.procfile[models.WebProcess] != nil || s.options.StartCommand != ""
}

// maxManifest bounds what is read of one manifest.
const maxManifest = 8 << 20

// has reports whether name is a regular file.
func (s source) has(name string) bool {
	info, err := fs.Stat(s.files, name)
	return err == nil && info.Mode().IsRegular()
}

// hasDir reports whether name is a directory.
func (s source) hasDir(name string) bool {
	info, err := fs.Stat(s.files, name)
	return err == nil && info.IsDir()
}

// first returns the first of names that is a file, or "".
func (s source) first(names ...string) string {
	for _, name := range names {
		if s.has(name) {
			return name
		}
	}
	return ""
}

// read returns a file's text; a missing file is "", false.
func (s source) read(name string) (string, bool, error) {
	info, err := fs.Stat(s.files, name)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.Mode().IsRegular()) {
		return "", false, nil
	}
	if err != nil {
		return "", false, models.Errorf(models.Internal, "read %s: %w", name, err)
	}
	if info.Size() > maxManifest {
		return "", false, models.Errorf(models.Failed, "%s is larger than %d MB", name, maxManifest>>20)
	}
	text, err := fs.ReadFile(s.files, name)
	if err != nil {
		return "", false, models.Errorf(models.Internal, "read %s: %w", name, err)
	}
	return strings.TrimPrefix(string(text), byteOrderMark), true, nil
}

// byteOrderMark begins text files of some Windows editors.
const byteOrderMark = "\ufeff"

// line returns the first line of a file that says something: comments and blank
// lines are skipped.
func (s source) line(name string) (string, error) {
	text, _, err := s.read(name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			return line, nil
		}
	}
	return "", nil
}

// readJSON decodes a JSON manifest; a missing file is false.
func (s source) readJSON(name string, into any) (bool, error) {
	text, ok, err := s.read(name)
	if err != nil || !ok {
		return false, err
	}
	return true, decodeJSON(name, []byte(text), into)
}

// readCommentedJSON decodes JSON that may have comments and commas behind the last
// entry; a missing file is false.
func (s source) readCommentedJSON(name string, into any) (bool, error) {
	text, ok, err := s.read(name)
	if err != nil || !ok {
		return false, err
	}
	return true, decodeJSON(name, jsonc.ToJSON([]byte(text)), into)
}

func decodeJSON(name string, text []byte, into any) error {
	err := json.Unmarshal(text, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return models.Errorf(models.Failed, "%s: %s must not be a JSON %s", name, mismatch.Field, mismatch.Value).WithField(name).
			WithRemedy("write it as the tool's documentation has it")
	}
	if err != nil {
		return models.Errorf(models.Failed, "%s is not valid JSON: %s", name, err).
			WithRemedy("fix the file; `git diff HEAD~1 -- %s` shows the last change", name).WithField(name)
	}
	return nil
}

// readTOML decodes a TOML manifest; a missing file is false.
func (s source) readTOML(name string, into any) (bool, error) {
	text, ok, err := s.read(name)
	if err != nil || !ok {
		return false, err
	}
	if err := toml.Unmarshal([]byte(text), into); err != nil {
		var where *toml.DecodeError
		line := ""
		if errors.As(err, &where) {
			row, _ := where.Position()
			line = fmt.Sprintf(" line %d", row)
		}
		return false, models.Errorf(models.Failed, "%s%s is not valid TOML: %s", name, line, strings.TrimPrefix(err.Error(), "toml: ")).
			WithRemedy("fix the file; `git diff HEAD~1 -- %s` shows the last change", name).WithField(name)
	}
	return true, nil
}

// readYAML decodes a YAML manifest; a missing file is false.
func (s source) readYAML(name string, into any) (bool, error) {
	text, ok, err := s.read(name)
	if err != nil || !ok {
		return false, err
	}
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		return false, models.Errorf(models.Failed, "%s is not valid YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: ")).
			WithRemedy("fix the file; `git diff HEAD~1 -- %s` shows the last change", name).WithField(name)
	}
	return true, nil
}

// at is the source of another directory of the repository.
func (s source) at(dir string) source {
	other := s
	other.root = dir
	if files, err := fs.Sub(s.repository, dir); err == nil { // dir is always a valid path
		other.files = files
	}
	return other
}
