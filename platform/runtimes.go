package platform

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// RuntimesAsked narrows a list of Runtimes.
type RuntimesAsked struct {
	Type   string
	Active *bool
	Search string
}

// Runtimes lists the runtimes that can be used.
func (p *Platform) Runtimes(ctx context.Context, actor models.Actor, asked RuntimesAsked, page models.PageRequest) (models.Page[models.Runtime], error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return models.Page[models.Runtime]{}, err
	}
	active := true
	return p.Store.RuntimePage(ctx, store.RuntimeFilter{Type: asked.Type, Active: &active, Search: asked.Search}, page)
}

// AllRuntimes lists every runtime, for an admin of the platform.
func (p *Platform) AllRuntimes(ctx context.Context, actor models.Actor, asked RuntimesAsked, page models.PageRequest) (models.Page[models.Runtime], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[models.Runtime]{}, err
	}
	return p.Store.RuntimePage(ctx, store.RuntimeFilter(asked), page)
}

// Runtime returns a runtime by its id or by type and version, as "node:22".
func (p *Platform) Runtime(ctx context.Context, actor models.Actor, name string) (models.Runtime, error) {
	if err := permitPlatform(actor); err != nil {
		return models.Runtime{}, err
	}
	rows, err := p.Store.Runtimes(ctx)
	if err != nil {
		return models.Runtime{}, err
	}
	for _, row := range rows {
		if row.ID.String() == name || row.Type+":"+row.Version == name {
			return row, nil
		}
	}
	return models.Runtime{}, models.Errorf(models.NotFound, "there is no such runtime").WithField("runtime").
		WithRemedy("name it by type and version, such as node:22")
}

// RuntimeChange is what to make a runtime of, or what to change of one; nil
// leaves a setting as it is.
type RuntimeChange struct {
	Type         *string
	Version      *string
	BuildImage   *string
	RunImage     *string
	BuildCommand *string
	StartCommand *string
	Default      *bool
	Active       *bool
}

// runtimeTypes are the languages that there are buildpacks for, and docker.
var runtimeTypes = []string{"docker", "go", "node", "php", "python", "ruby", "static"}

var (
	versionPattern = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){0,2}$`)
	// imagePattern is the reference grammar of the Distribution project, in lower
	// case as engines want it: [HOST[:PORT]/]NAME[:TAG][@DIGEST].
	imagePattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/)?` +
		`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*` +
		`(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$`)
)

func (c RuntimeChange) apply(row *models.Runtime, options Options) error {
	put(&row.Type, c.Type)
	put(&row.Version, c.Version)
	put(&row.BuildImage, c.BuildImage)
	put(&row.RunImage, c.RunImage)
	put(&row.BuildCommand, c.BuildCommand)
	put(&row.StartCommand, c.StartCommand)
	put(&row.Default, c.Default)
	put(&row.Active, c.Active)
	return checkRuntime(*row, options)
}

func checkRuntime(row models.Runtime, options Options) error {
	if !slices.Contains(runtimeTypes, row.Type) {
		return models.Errorf(models.Invalid, "there is no buildpack %q", row.Type).WithField("type").
			WithRemedy("use %s", strings.Join(runtimeTypes, ", "))
	}
	if !versionPattern.MatchString(row.Version) {
		return models.Errorf(models.Invalid, "%q is not a version", row.Version).WithField("version").
			WithRemedy("use numbers and points, such as 22 or 3.12")
	}
	for field, image := range map[string]string{"build_image": row.BuildImage, "run_image": row.RunImage} {
		if err := checkImage(row, field, image, options); err != nil {
			return err
		}
	}
	for field, command := range map[string]string{"build_command": row.BuildCommand, "start_command": row.StartCommand} {
		if len(command) > 1000 || strings.ContainsAny(command, "\x00\n\r") {
			return models.Errorf(models.Invalid, "that is not a command").WithField(field).WithRemedy("use one line of at most 1000 characters")
		}
	}
	return nil
}

// checkImage refuses what is no image reference, and, where custom images are
// switched off, those beyond the official ones.
func checkImage(row models.Runtime, field, image string, options Options) error {
	if row.Type == "docker" && image == "" {
		return nil
	}
	if len(image) > 255 || !imagePattern.MatchString(image) {
		return models.Errorf(models.Invalid, "%q is not an image reference", image).WithField(field).
			WithRemedy("write it as NAME:TAG or NAME@sha256:…, such as node:22-bookworm")
	}
	official := !strings.Contains(image, "/") || strings.HasPrefix(image, "sky-stack/") || strings.HasPrefix(image, "library/")
	if !official && !options.CustomImages {
		return models.Errorf(models.Forbidden, "custom images are switched off, and %q is one", image).WithField(field).
			WithRemedy("use an official image, or switch them on: sky admin settings set custom-images=on")
	}
	return nil
}

// CreateRuntime makes a runtime that every plan allows.
func (p *Platform) CreateRuntime(ctx context.Context, actor models.Actor, wanted RuntimeChange) (models.Runtime, error) {
	if err := permitPlatform(actor); err != nil {
		return models.Runtime{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return models.Runtime{}, err
	}
	row := models.Runtime{ID: models.NewID(), Active: true, CreatedAt: now()}
	if err := wanted.apply(&row, options); err != nil {
		return models.Runtime{}, err
	}
	name := row.Type + " " + row.Version
	err = p.commit(ctx, actor, fact{kind: "runtime.create", detail: name}, func(tx *store.Store) error {
		if err := tx.CreateRuntime(ctx, &row); err != nil {
			return taken(err, "runtime", name)
		}
		if err := onlyDefault(ctx, tx, row); err != nil {
			return err
		}
		return linkSeeded(ctx, tx, nil, []models.Runtime{row})
	})
	return row, err
}

// onlyDefault takes the mark from the other versions of a type whose default the
// row has become.
func onlyDefault(ctx context.Context, tx *store.Store, row models.Runtime) error {
	if !row.Default {
		return nil
	}
	rows, err := tx.Runtimes(ctx)
	if err != nil {
		return err
	}
	for _, other := range rows {
		if other.Type != row.Type || other.ID == row.ID || !other.Default {
			continue
		}
		_, err := tx.UpdateRuntime(ctx, other.ID, func(other *models.Runtime) error {
			other.Default = false
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ChangeRuntime changes a runtime. The next build sees it.
func (p *Platform) ChangeRuntime(ctx context.Context, actor models.Actor, name, revision string, change RuntimeChange) (models.Runtime, error) {
	row, err := p.Runtime(ctx, actor, name)
	if err != nil {
		return models.Runtime{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return models.Runtime{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "runtime.change", detail: row.Type + " " + row.Version}, func(tx *store.Store) error {
		row, err = tx.UpdateRuntime(ctx, row.ID, func(row *models.Runtime) error {
			if err := models.CheckRevision(revision, row.Revision()); err != nil {
				return err
			}
			return change.apply(row, options)
		})
		if err != nil {
			return taken(err, "runtime", row.Type+" "+row.Version)
		}
		return onlyDefault(ctx, tx, row)
	})
	return row, err
}

// DeleteRuntime removes a runtime. One that a live app was built with stays,
// unless force says otherwise: its next build would fail.
func (p *Platform) DeleteRuntime(ctx context.Context, actor models.Actor, name string, force bool) error {
	row, err := p.Runtime(ctx, actor, name)
	if err != nil {
		return err
	}
	users, err := p.Store.AppsLiveOn(ctx, row.Type, row.Version)
	if err != nil {
		return err
	}
	if users > 0 && !force {
		return models.Errorf(models.Conflict, "%d live apps were built with %s %s", users, row.Type, row.Version).WithField("force").
			WithRemedy("make it inactive, so that it is chosen no more, or pass force: their next build will fail")
	}
	return p.commit(ctx, actor, fact{kind: "runtime.delete", detail: row.Type + " " + row.Version}, func(tx *store.Store) error {
		return tx.DeleteRuntime(ctx, row.ID)
	})
}
