//go:build !race

package buildpipeline

const raceDetector = false
