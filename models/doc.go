// Package models holds Sky's nouns: the rows, the states they move through and
// the one error type that every edge maps.
//
// It imports none of our other packages. The structs carry gorm tags so that
// package models/store can map them, but nothing here touches a database.
//
// The words are the glossary's: a Push offers ref updates to an App; a Build
// turns a commit into an image; a Release is an immutable, numbered combination
// of image, Config and process types; a Deployment moves an App from one
// Release to another; an Instance is one running process of a Release on a
// Node.
package models
