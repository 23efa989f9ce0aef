-- +goose Up
-- How many builds a node runs at once, and which builder made what.
ALTER TABLE paas_nodes ADD COLUMN builds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_builds ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_builds ADD COLUMN builder TEXT NOT NULL DEFAULT '';
