package gitserver

import (
	"context"
	"errors"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/models"
)

// maxTags is how many tags of tags are followed.
const maxTags = 10

// Commit describes the commit oid. A tag is followed to its commit. An unknown
// object is models.NotFound.
func (r *Repositories) Commit(ctx context.Context, app models.ID, oid string) (models.Commit, error) {
	db, err := r.objects(app)
	if err != nil {
		return models.Commit{}, err
	}
	defer db.Close()
	id, info, err := findCommit(db, oid)
	if err != nil {
		return models.Commit{}, err
	}
	return models.Commit{ID: id.String(), Subject: info.Subject, Author: info.Author, Message: info.Message}, nil
}

// findCommit reads the commit that oid names or that the tag oid leads to.
func findCommit(db *objectdb.DB, oid string) (object.ID, object.CommitInfo, error) {
	id, err := object.ParseID(oid)
	if err != nil {
		return id, object.CommitInfo{}, models.Errorf(models.Invalid, "%s", err)
	}
	id, data, err := peel(db, id)
	if errors.Is(err, objectdb.ErrNotFound) {
		return id, object.CommitInfo{}, models.Errorf(models.NotFound, "there is no commit %s", oid)
	}
	if err != nil {
		return id, object.CommitInfo{}, err
	}
	info, err := object.ParseCommit(data)
	return id, info, err
}

func peel(db *objectdb.DB, id object.ID) (object.ID, []byte, error) {
	for range maxTags {
		kind, data, err := db.Read(id)
		if err != nil {
			return id, nil, err
		}
		switch kind {
		case object.Commit:
			return id, data, nil
		case object.Tag:
			if id, _, err = object.TagTarget(data); err != nil {
				return id, nil, err
			}
		default:
			return id, nil, models.Errorf(models.Invalid, "object %s is a %s, not a commit", id, kind)
		}
	}
	return id, nil, models.Errorf(models.Invalid, "tag %s leads to too many tags", id)
}

// IsAncestor reports whether ancestor can be reached from descendant, so that
// moving a branch from one to the other is a fast-forward. A commit is its own
// ancestor, and ZeroObject is everybody's. It reads history until it finds the
// ancestor: to deny takes all of it.
func (r *Repositories) IsAncestor(ctx context.Context, app models.ID, ancestor, descendant string) (bool, error) {
	if ancestor == models.ZeroObject {
		return true, nil
	}
	want, err := object.ParseID(ancestor)
	if err != nil {
		return false, models.Errorf(models.Invalid, "%s", err)
	}
	db, err := r.objects(app)
	if err != nil {
		return false, err
	}
	defer db.Close()
	from, info, err := findCommit(db, descendant)
	if err != nil {
		return false, err
	}
	if from == want {
		return true, nil
	}
	return reaches(ctx, db, info.Parents, want)
}

// reaches walks history breadth first from queue.
func reaches(ctx context.Context, db *objectdb.DB, queue []object.ID, want object.ID) (bool, error) {
	seen := map[object.ID]bool{}
	for len(queue) > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		id := queue[0]
		queue = queue[1:]
		if id == want {
			return true, nil
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		data, err := db.ReadKind(id, object.Commit)
		if err != nil {
			return false, err
		}
		info, err := object.ParseCommit(data)
		if err != nil {
			return false, err
		}
		queue = append(queue, info.Parents...)
	}
	return false, nil
}
