// Package packfile reads one incoming pack: streaming, bounded and parallel.
//
// Stage 1 (receive.go) is one goroutine that runs while bytes arrive: it tees
// the stream to a file, inflates every entry to find its end, and hands whole
// objects to workers that hash and check them. Stage 2 (resolve.go) walks the
// delta trees depth first, in parallel, re-reading entries by pread. Stage 3
// completes thin packs (thin.go), proves that every link leads to the pack or
// to the store (links.go) and writes idx v2, byte for byte as git does (idx.go).
//
// The format is git's Documentation/gitformat-pack. Whatever the bytes are, a
// pack costs at most what Limits allows, and a refused pack leaves no file.
package packfile
