// Package refs keeps a repository's refs as git does, in loose files and
// packed-refs, so that stock git may read them at any time. Writers take git's
// own lock files, compare and swap, and make ref and directory durable before
// they report success.
//
// The rules for names are those of git check-ref-format.
package refs
