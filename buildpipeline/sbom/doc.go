// Package sbom lists the packages in an image, as a CycloneDX document (1.6, JSON).
//
// It reads the files of the finished image and nothing else, so that it is as true
// for a repository's own Dockerfile or a prebuilt image as for a buildpack's. What
// leaves no trace there is not listed: the sources of a bundled page, or crates of
// a Rust program whose Cargo.lock is not in the image.
package sbom
