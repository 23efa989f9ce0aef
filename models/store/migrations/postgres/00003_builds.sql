-- +goose Up
-- The API token that a push was made with: once it is revoked, the push no longer goes live.
ALTER TABLE paas_builds ADD COLUMN token_id UUID;

-- An address that its owner proved, or an admin vouches for; others yield to it.
ALTER TABLE paas_users ADD COLUMN email_proven BOOLEAN NOT NULL DEFAULT FALSE;
