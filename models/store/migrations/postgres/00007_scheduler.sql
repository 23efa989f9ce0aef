-- +goose Up
-- Since when a node's agent is silent, and since when its instances are replaced.
ALTER TABLE paas_nodes ADD COLUMN offline_since TIMESTAMPTZ;
ALTER TABLE paas_nodes ADD COLUMN lost_at TIMESTAMPTZ;
