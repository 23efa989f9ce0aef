// Package lab gives benchmarks a Sky of their own: `sky up` on free ports in a
// temporary directory, apps that are pushed to it with stock git, and nothing
// left behind.
package lab
