-- +goose Up
-- By which digest nodes pull a release's image from the control plane's registry.
ALTER TABLE paas_releases ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
