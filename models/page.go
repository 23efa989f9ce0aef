package models

import (
	"strconv"
	"time"
)

// The bounds of a page.
const (
	DefaultPage = 50
	MaxPage     = 200
)

// PageRequest asks for one page of a list. Its zero value is the first, in the
// list's own order.
type PageRequest struct {
	Limit  int
	Cursor string // Next of the page before
	Sort   string // a field's name, with "-" before it for the descending order
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	Next  string // empty on the last page
}

// Everything asks for a whole list of what is never long.
func Everything() PageRequest { return PageRequest{Limit: 1 << 20} }

// revisionOf names the state of a row by the time of its last change.
func revisionOf(updated time.Time) string { return strconv.FormatInt(updated.UnixMicro(), 36) }

// CheckRevision refuses a change that was made for another state of a row than
// the one that there is. An empty wanted takes any.
func CheckRevision(wanted, current string) error {
	if wanted == "" || wanted == current {
		return nil
	}
	return Errorf(Stale, "it was changed since you read it").WithField("If-Match").
		WithRemedy("read it again, and make your change to what it is now")
}

// Revision names the App's state.
func (a App) Revision() string { return revisionOf(a.UpdatedAt) }

// Revision names the Organisation's state.
func (o Organisation) Revision() string { return revisionOf(o.UpdatedAt) }

// Revision names the Plan's state.
func (p Plan) Revision() string { return revisionOf(p.UpdatedAt) }

// Revision names the Runtime's state.
func (r Runtime) Revision() string { return revisionOf(r.UpdatedAt) }

// Revision names the Node's state, without what its heartbeats say.
func (n Node) Revision() string { return revisionOf(n.UpdatedAt) }

// Revision names the User's state.
func (u User) Revision() string { return revisionOf(u.UpdatedAt) }
