// Package buildpacks looks at a commit's files and plans how to build them: a
// file per language, each of which detects with a reason and renders a plain
// multi-stage Dockerfile.
//
// A buildpack reads; it runs nothing and writes nothing. The Dockerfile that it
// renders is kept with the release, so that nobody has to guess what was built.
package buildpacks
