-- +goose Up
-- What somebody runs besides a release's own processes, and whether it waits for a
-- terminal.
ALTER TABLE paas_instances ADD COLUMN command TEXT;
ALTER TABLE paas_instances ADD COLUMN attended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE paas_instances ADD COLUMN tty INTEGER NOT NULL DEFAULT 0;
