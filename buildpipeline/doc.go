// Package buildpipeline turns one commit into one image: it detects the
// language, finds base images, renders a Dockerfile, and has the engine's own
// BuildKit build it from the commit's files, without a checkout.
//
// Base images are the languages' official ones where they can be pulled, and
// otherwise "stack" images that Sky makes from the distribution's packages,
// once, when an app first needs them.
package buildpipeline
