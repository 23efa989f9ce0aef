package models

import "io"

// Push is one offer of ref updates to an App, as a git door received it: its
// objects are verified and stored, its refs have not moved.
type Push struct {
	App     App
	Actor   Actor
	Updates []*RefUpdate
	Options []string // push options, as `git push -o` sent them
	Atomic  bool     // all updates or none
	// Out reaches the pusher's terminal while the push lasts. A write may
	// block on a slow pusher and fails once the pusher has gone.
	Out io.Writer
}

// RefUpdate asks to move one ref. Old and New are object names in lower-case
// hex; ZeroObject stands for "absent".
type RefUpdate struct {
	Name string
	Old  string
	New  string
	// Err is the receiver's verdict: nil once the ref has moved.
	Err error `json:"-"`
}

// ZeroObject is the object name of nothing, in SHA-1 repositories.
const ZeroObject = "0000000000000000000000000000000000000000"

// Delete reports whether the update removes its ref.
func (u *RefUpdate) Delete() bool { return u.New == ZeroObject }

// Commit is what Sky shows of a commit.
type Commit struct {
	ID      string
	Subject string
	Author  string
	Message string // all of it, the subject included
}
