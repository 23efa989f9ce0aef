package gitserver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/gitserver/refs"
	"github.com/skypanel/sky/models"
)

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
	maxModules   = 1 << 20
)

// The verdicts whose words git clients know.
var (
	errAtomic     = models.Errorf(models.Conflict, "atomic push failure")
	errFetchFirst = models.Errorf(models.Conflict, "fetch first")
)

// judgeNames refuses the updates that no pack could justify.
func (p *receiving) judgeNames() {
	seen := map[string]bool{}
	for _, update := range p.request.updates {
		switch {
		case seen[update.Name]:
			update.Err = models.Errorf(models.Invalid, "%w", refs.ErrTwice)
		default:
			update.Err = judgeName(p.app, update)
		}
		seen[update.Name] = true
	}
}

func judgeName(app models.App, update *models.RefUpdate) error {
	if err := refs.CheckName(update.Name); err != nil {
		return models.Errorf(models.Invalid, "%s", err)
	}
	if !strings.HasPrefix(update.Name, branchPrefix) && !strings.HasPrefix(update.Name, tagPrefix) {
		return models.Errorf(models.Forbidden, "only branches and tags can be pushed")
	}
	if update.Delete() && update.Name == branchPrefix+app.DeployBranch {
		return models.Errorf(models.Conflict, "%s is the branch that deploys and cannot be deleted", app.DeployBranch)
	}
	return nil
}

// judgeObjects refuses the updates that their objects or the present refs do
// not justify. The error it returns is about the pack.
func (p *receiving) judgeObjects(quarantine *quarantine, pack *packfile.Pack) error {
	db, err := p.Repositories.objects(p.app.ID, quarantine.dir)
	if err != nil {
		return err
	}
	defer db.Close()
	if pack != nil {
		if err := checkModules(db, pack.Modules); err != nil {
			return err
		}
	}
	store, err := p.Repositories.refs(p.app.ID)
	if err != nil {
		return err
	}
	for _, update := range p.request.updates {
		if update.Err == nil {
			update.Err = p.judge(update, db, store)
		}
		if update.Err == nil && !update.Delete() && pack != nil && len(pack.Shallow) > 0 {
			update.Err = models.Errorf(models.Conflict, "your clone is shallow and Sky lacks the history before it: run `git fetch --unshallow` and push again")
		}
	}
	return nil
}

// judge checks one update's tip, and that its ref is where the client believes.
// For the branch that deploys the Receiver checks that, when its turn comes.
func (p *receiving) judge(update *models.RefUpdate, db *objectdb.DB, store refs.Store) error {
	if update.Name != branchPrefix+p.app.DeployBranch {
		current, err := store.Get(update.Name)
		if err != nil {
			return err
		}
		if current.String() != update.Old {
			return errFetchFirst
		}
	}
	if update.Delete() {
		return nil
	}
	return judgeTip(update, db)
}

func judgeTip(update *models.RefUpdate, db *objectdb.DB) error {
	id, err := object.ParseID(update.New)
	if err != nil {
		return err
	}
	kind, _, err := db.Stat(id)
	if errors.Is(err, objectdb.ErrNotFound) {
		return models.Errorf(models.Invalid, "missing necessary objects")
	}
	if err != nil {
		return err
	}
	if strings.HasPrefix(update.Name, branchPrefix) && kind != object.Commit {
		return models.Errorf(models.Invalid, "a branch must lead to a commit, not to a %s", kind)
	}
	return nil
}

func checkModules(db *objectdb.DB, modules []object.ID) error {
	for _, id := range modules {
		kind, size, err := db.Stat(id)
		if err != nil || kind != object.Blob {
			return fmt.Errorf("check .gitmodules %s: %w", id, err)
		}
		if size > maxModules {
			return &packfile.ObjectError{ID: id, Problem: "gitmodulesLarge: .gitmodules is too large"}
		}
		_, data, err := db.Read(id)
		if err != nil {
			return fmt.Errorf("check .gitmodules: %w", err)
		}
		if problem := object.CheckModules(data); problem != "" {
			return &packfile.ObjectError{ID: id, Problem: problem}
		}
	}
	return nil
}

// refuseAll refuses the updates that have no verdict yet.
func (p *receiving) refuseAll(err error) {
	for _, update := range p.request.updates {
		if update.Err == nil {
			update.Err = err
		}
	}
}
