package platform

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

const (
	maxCommand        = 2000
	maxBuildVariables = 100
)

var stagePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// apply checks the settings and gives them to app.
func (s BuildSettings) apply(app *models.App) error {
	if s.Buildpack != nil {
		if err := buildpipeline.CheckBuildpack(*s.Buildpack); err != nil {
			return err
		}
		app.Buildpack = *s.Buildpack
	}
	for _, setting := range []struct {
		field string
		value *string
		check func(field, value string) (string, error)
		into  *string
	}{
		{"root_dir", s.RootDir, cleanPath, &app.RootDir},
		{"dockerfile", s.Dockerfile, cleanPath, &app.Dockerfile},
		{"docker_target", s.DockerTarget, checkStage, &app.DockerTarget},
		{"build_command", s.BuildCommand, checkCommand, &app.BuildCommand},
		{"start_command", s.StartCommand, checkCommand, &app.StartCommand},
	} {
		if setting.value == nil {
			continue
		}
		clean, err := setting.check(setting.field, *setting.value)
		if err != nil {
			return err
		}
		*setting.into = clean
	}
	return s.applyVariables(app)
}

func (s BuildSettings) applyVariables(app *models.App) error {
	for _, list := range []struct {
		field string
		names *[]string
		into  *[]string
	}{{"build_variables", s.BuildVariables, &app.BuildVariables}, {"build_arguments", s.BuildArguments, &app.BuildArguments}} {
		if list.names == nil {
			continue
		}
		if len(*list.names) > maxBuildVariables {
			return models.Errorf(models.TooLarge, "at most %d variables", maxBuildVariables).WithField(list.field)
		}
		for _, name := range *list.names {
			if err := models.CheckEnvKey(name); err != nil {
				return err
			}
		}
		*list.into = slices.Compact(slices.Sorted(slices.Values(*list.names)))
	}
	return nil
}

// cleanPath returns a path within the repository; the root is "".
func cleanPath(field, value string) (string, error) {
	clean := path.Clean("/" + value)[1:]
	if clean == "" {
		return "", nil
	}
	if !fs.ValidPath(clean) || strings.ContainsAny(value, "\\\x00\n") || slices.Contains(strings.Split(value, "/"), "..") {
		return "", models.Errorf(models.Invalid, "%.100q is no path within the repository", value).WithField(field).
			WithRemedy("name it from the repository's root, such as apps/web")
	}
	return clean, nil
}

func checkStage(field, value string) (string, error) {
	if value != "" && !stagePattern.MatchString(value) {
		return "", models.Errorf(models.Invalid, "%.100q is no stage of a Dockerfile", value).WithField(field).
			WithRemedy("use the name after AS in its FROM line")
	}
	return value, nil
}

func checkCommand(field, value string) (string, error) {
	value = strings.TrimSpace(value)
	if len(value) > maxCommand || strings.ContainsAny(value, "\x00\n\r") {
		return "", models.Errorf(models.Invalid, "the command is longer than a line of %d characters", maxCommand).WithField(field).
			WithRemedy("put it into a script of the repository, and name that")
	}
	return value, nil
}
