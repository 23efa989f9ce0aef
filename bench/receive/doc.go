// Command receive measures PERF-1: how fast a push is received, ours against
// `git receive-pack`, behind the same kind of SSH door and with the same stock
// client.
//
//	go run ./bench/receive            # about 100,000 objects
//	go run ./bench/receive -commits 2000 -runs 5
//
// It builds a repository that is the same on every run, pushes all of it, then
// one commit more, to each server in a process of its own, and prints the
// median wall time, the server's CPU seconds with those of its children, and
// its peak resident memory. "git" is stock git as configured by default,
// "git-strict" checks objects and syncs files as Sky does.
package main
