//go:build race

package buildpipeline

// raceDetector says whether the detector watches. BuildKit 0.34 has a race of
// its own, on a flag in its resolver, where two stages begin from images.
const raceDetector = true
