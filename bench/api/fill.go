package main

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	perOrganisation = 100
	batch           = 1_000
)

// filler puts apps into a database, a hundred in each organisation, each with a
// release that serves and an instance on a node that is not there.
type filler struct {
	database *store.Store
	owner    models.User
	node     models.Node
	apps     int
	last     models.ID // organisation
	member   string    // of whose token
}

func name(number int) string { return fmt.Sprintf("app-%06d", number) }

func (f *filler) upTo(ctx context.Context, apps int) error {
	if f.apps == 0 {
		f.owner = models.User{ID: models.NewID(), Name: "owner"}
		if err := f.database.CreateUser(ctx, &f.owner); err != nil {
			return err
		}
		f.node = models.Node{ID: models.NewID(), Name: "elsewhere", State: models.NodeOffline}
		if err := f.database.CreateNode(ctx, &f.node); err != nil {
			return err
		}
	}
	for f.apps < apps {
		err := f.database.Transact(ctx, func(tx *store.Store) error {
			for range min(batch, apps-f.apps) {
				if err := f.one(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) one(ctx context.Context, tx *store.Store) error {
	if f.apps%perOrganisation == 0 {
		f.last = models.NewID()
		row := models.Organisation{ID: f.last, Name: fmt.Sprintf("org-%d", f.apps/perOrganisation)}
		if err := tx.CreateOrganisation(ctx, &row, f.owner.ID); err != nil {
			return err
		}
	}
	release := models.NewID()
	app := models.App{
		ID: models.NewID(), Name: name(f.apps), CreatorID: f.owner.ID, OrganisationID: f.last, DeployBranch: "main", Formation: models.Formation{"web": 1},
		LiveReleaseID: &release,
	}
	f.apps++
	if err := tx.CreateApp(ctx, &app); err != nil {
		return err
	}
	err := tx.CreateRelease(ctx, &models.Release{
		ID: release, AppID: app.ID, Image: "sky/app", Processes: models.Processes{"web": {"serve"}}, Config: []byte{}, ActorID: f.owner.ID,
	})
	if err != nil {
		return err
	}
	return tx.ChangeInstances(ctx, []models.Instance{{
		ID: models.NewID(), AppID: app.ID, ReleaseID: release, NodeID: f.node.ID, Process: "web", Ordinal: 1,
	}}, nil)
}
