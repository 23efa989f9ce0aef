-- +goose Up
-- By which digest nodes pull a release's image from the control plane's registry.
ALTER TABLE paas_releases ADD COLUMN manifest TEXT NOT NULL DEFAULT '';

-- Where a node's agent takes requests of other nodes, and from outside.
ALTER TABLE paas_nodes ADD COLUMN peer_address TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_nodes ADD COLUMN ingress_address TEXT NOT NULL DEFAULT '';
