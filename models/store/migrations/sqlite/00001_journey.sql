-- +goose Up
CREATE TABLE paas_users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  admin INTEGER NOT NULL DEFAULT 0,
  created_at DATETIME NOT NULL
);

CREATE TABLE paas_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  UNIQUE (user_id, name)
);

CREATE TABLE paas_tokens (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  expires_at DATETIME,
  created_at DATETIME NOT NULL
);

CREATE TABLE paas_nodes (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('pending','online','offline','cordoned','removed')),
  join_hash BLOB,
  join_expires_at DATETIME,
  generation BIGINT NOT NULL DEFAULT 0,
  engine_version TEXT NOT NULL DEFAULT '',
  agent_version TEXT NOT NULL DEFAULT '',
  cpus BIGINT NOT NULL DEFAULT 0,
  memory_bytes BIGINT NOT NULL DEFAULT 0,
  seen_at DATETIME,
  created_at DATETIME NOT NULL
);

CREATE TABLE paas_runtimes (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  version TEXT NOT NULL,
  build_image TEXT NOT NULL,
  run_image TEXT NOT NULL,
  is_default INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  created_at DATETIME NOT NULL,
  UNIQUE (type, version)
);

CREATE TABLE paas_applications (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  owner_id TEXT NOT NULL REFERENCES paas_users(id),
  deploy_branch TEXT NOT NULL,
  health_path TEXT NOT NULL DEFAULT '',
  formation TEXT,
  buildpack TEXT NOT NULL DEFAULT '',
  writable_root INTEGER NOT NULL DEFAULT 0,
  root_user INTEGER NOT NULL DEFAULT 0,
  stopped INTEGER NOT NULL DEFAULT 0,
  live_release_id TEXT,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);

CREATE TABLE paas_environment_vars (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  updated_at DATETIME NOT NULL,
  UNIQUE (app_id, key)
);

CREATE TABLE paas_builds (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  ref TEXT NOT NULL,
  "commit" TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  via TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL CHECK (state IN ('queued','running','succeeded','failed','cancelled')),
  runtime TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  dockerfile TEXT NOT NULL DEFAULT '',
  image TEXT NOT NULL DEFAULT '',
  processes TEXT,
  port BIGINT NOT NULL DEFAULT 0,
  updates TEXT,
  clear_cache INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  started_at DATETIME,
  finished_at DATETIME,
  UNIQUE (app_id, number)
);
CREATE INDEX paas_builds_unfinished ON paas_builds (state) WHERE state IN ('queued','running');

CREATE TABLE paas_releases (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  build_id TEXT REFERENCES paas_builds(id),
  "commit" TEXT NOT NULL,
  image TEXT NOT NULL,
  processes TEXT,
  port BIGINT NOT NULL DEFAULT 0,
  config BLOB NOT NULL,
  description TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  created_at DATETIME NOT NULL,
  UNIQUE (app_id, number)
);

CREATE TABLE paas_deployments (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  release_id TEXT NOT NULL REFERENCES paas_releases(id) ON DELETE CASCADE,
  previous_id TEXT,
  state TEXT NOT NULL CHECK (state IN ('pending','releasing','rolling','live','failed','superseded')),
  error TEXT NOT NULL DEFAULT '',
  probes BIGINT NOT NULL DEFAULT 0,
  probes_failed BIGINT NOT NULL DEFAULT 0,
  created_at DATETIME NOT NULL,
  finished_at DATETIME
);
CREATE INDEX paas_deployments_unfinished ON paas_deployments (state) WHERE state IN ('pending','releasing','rolling');
CREATE INDEX paas_deployments_release ON paas_deployments (release_id);

CREATE TABLE paas_instances (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  release_id TEXT NOT NULL REFERENCES paas_releases(id) ON DELETE CASCADE,
  node_id TEXT NOT NULL REFERENCES paas_nodes(id),
  process TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  created_at DATETIME NOT NULL
);
CREATE INDEX paas_instances_app ON paas_instances (app_id);
CREATE INDEX paas_instances_node ON paas_instances (node_id);

CREATE TABLE paas_events (
  id TEXT PRIMARY KEY,
  app_id TEXT,
  actor_id TEXT,
  actor TEXT NOT NULL,
  via TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL
);
CREATE INDEX paas_events_app ON paas_events (app_id, id);

