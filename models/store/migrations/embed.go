// Package migrations holds the schema's history, one folder per engine. A
// released migration is never edited; changes are new files.
package migrations

import "embed"

// FS holds sqlite/*.sql and postgres/*.sql, in goose's format.
//
//go:embed sqlite/*.sql postgres/*.sql
var FS embed.FS
