-- +goose Up
-- Deliveries of git hosts: one counts once for each app that it concerns. Nothing wrote the former table.
DROP TABLE paas_webhook_deliveries;
CREATE TABLE paas_webhook_deliveries (
  id TEXT PRIMARY KEY,
  app_id TEXT REFERENCES paas_applications(id) ON DELETE CASCADE,
  scope TEXT NOT NULL DEFAULT '',
  provider TEXT NOT NULL,
  delivery TEXT NOT NULL,
  event TEXT NOT NULL,
  ref TEXT NOT NULL DEFAULT '',
  "commit" TEXT NOT NULL DEFAULT '',
  body BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('received','done','ignored','failed','refused')),
  outcome TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  repeats BIGINT NOT NULL DEFAULT 0,
  build_id TEXT,
  created_at DATETIME NOT NULL,
  finished_at DATETIME,
  UNIQUE (provider, scope, delivery)
);
CREATE INDEX paas_webhook_deliveries_app ON paas_webhook_deliveries (app_id, id);
CREATE INDEX paas_webhook_deliveries_open ON paas_webhook_deliveries (app_id, id) WHERE state = 'received';

-- A task that is asked for while it runs runs once more.
ALTER TABLE paas_tasks ADD COLUMN again INTEGER NOT NULL DEFAULT 0;

-- The delivery that asked for a build, and whether it is of what a git host's ref leads to.
ALTER TABLE paas_builds ADD COLUMN delivery_id TEXT;
ALTER TABLE paas_builds ADD COLUMN hosted INTEGER NOT NULL DEFAULT 0;

CREATE TABLE paas_github_hosts (
  id TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_secret BLOB,
  number BIGINT NOT NULL DEFAULT 0,
  slug TEXT NOT NULL DEFAULT '',
  private_key BLOB,
  webhook_secret BLOB,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);

CREATE TABLE paas_github_connections (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL UNIQUE REFERENCES paas_users(id) ON DELETE CASCADE,
  account BIGINT NOT NULL,
  login TEXT NOT NULL,
  scopes TEXT NOT NULL DEFAULT '',
  token BLOB NOT NULL,
  refresh BLOB,
  expires_at DATETIME,
  trouble TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);

CREATE TABLE paas_github_authorizations (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  session_id TEXT,
  state_hash BLOB NOT NULL UNIQUE,
  verifier BLOB NOT NULL,
  granted BLOB,
  code_hash BLOB,
  attempts BIGINT NOT NULL DEFAULT 0,
  expires_at DATETIME NOT NULL,
  created_at DATETIME NOT NULL
);

CREATE TABLE paas_github_links (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL UNIQUE REFERENCES paas_applications(id) ON DELETE CASCADE,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  installation BIGINT NOT NULL DEFAULT 0,
  repository_id BIGINT NOT NULL,
  repository TEXT NOT NULL,
  ref TEXT NOT NULL,
  paths TEXT,
  auto_deploy INTEGER NOT NULL DEFAULT 1,
  hook_id BIGINT NOT NULL DEFAULT 0,
  secret BLOB,
  head TEXT NOT NULL DEFAULT '',
  trouble TEXT NOT NULL DEFAULT '',
  checked_at DATETIME,
  previews INTEGER NOT NULL DEFAULT 0,
  preview_plan_id TEXT REFERENCES paas_plans(id) ON DELETE SET NULL,
  preview_hours BIGINT NOT NULL DEFAULT 72,
  preview_most BIGINT NOT NULL DEFAULT 5,
  preview_hidden TEXT,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);
CREATE INDEX paas_github_links_repository ON paas_github_links (repository_id);
CREATE INDEX paas_github_links_user ON paas_github_links (user_id);

CREATE TABLE paas_github_previews (
  id TEXT PRIMARY KEY,
  link_id TEXT NOT NULL REFERENCES paas_github_links(id) ON DELETE CASCADE,
  app_id TEXT REFERENCES paas_applications(id) ON DELETE SET NULL,
  number BIGINT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  author TEXT NOT NULL DEFAULT '',
  fork INTEGER NOT NULL DEFAULT 0,
  head TEXT NOT NULL DEFAULT '',
  approved TEXT NOT NULL DEFAULT '',
  approved_by TEXT,
  with_config INTEGER NOT NULL DEFAULT 0,
  comment_id BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL CHECK (state IN ('waiting','active','refused','closed')),
  reason TEXT NOT NULL DEFAULT '',
  expires_at DATETIME,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  UNIQUE (link_id, number)
);
CREATE INDEX paas_github_previews_app ON paas_github_previews (app_id);

CREATE TABLE paas_github_reports (
  build_id TEXT PRIMARY KEY REFERENCES paas_builds(id) ON DELETE CASCADE,
  deployment BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  updated_at DATETIME NOT NULL
);
