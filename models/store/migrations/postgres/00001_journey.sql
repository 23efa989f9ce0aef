-- +goose Up
CREATE TABLE paas_users (
  id UUID PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  admin BOOLEAN NOT NULL DEFAULT FALSE,
  created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE paas_keys (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  UNIQUE (user_id, name)
);

CREATE TABLE paas_tokens (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  hash BYTEA NOT NULL UNIQUE,
  expires_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE paas_nodes (
  id UUID PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('pending','online','offline','cordoned','removed')),
  join_hash BYTEA,
  join_expires_at TIMESTAMPTZ,
  generation BIGINT NOT NULL DEFAULT 0,
  engine_version TEXT NOT NULL DEFAULT '',
  agent_version TEXT NOT NULL DEFAULT '',
  cpus BIGINT NOT NULL DEFAULT 0,
  memory_bytes BIGINT NOT NULL DEFAULT 0,
  seen_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE paas_runtimes (
  id UUID PRIMARY KEY,
  type TEXT NOT NULL,
  version TEXT NOT NULL,
  build_image TEXT NOT NULL,
  run_image TEXT NOT NULL,
  is_default BOOLEAN NOT NULL DEFAULT FALSE,
  active BOOLEAN NOT NULL DEFAULT TRUE,
  created_at TIMESTAMPTZ NOT NULL,
  UNIQUE (type, version)
);

CREATE TABLE paas_applications (
  id UUID PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  owner_id UUID NOT NULL REFERENCES paas_users(id),
  deploy_branch TEXT NOT NULL,
  health_path TEXT NOT NULL DEFAULT '',
  formation TEXT,
  buildpack TEXT NOT NULL DEFAULT '',
  writable_root BOOLEAN NOT NULL DEFAULT FALSE,
  root_user BOOLEAN NOT NULL DEFAULT FALSE,
  stopped BOOLEAN NOT NULL DEFAULT FALSE,
  live_release_id UUID,
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE paas_environment_vars (
  id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BYTEA NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  UNIQUE (app_id, key)
);

CREATE TABLE paas_builds (
  id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  ref TEXT NOT NULL,
  "commit" TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor_id UUID NOT NULL,
  via TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL CHECK (state IN ('queued','running','succeeded','failed','cancelled')),
  runtime TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  dockerfile TEXT NOT NULL DEFAULT '',
  image TEXT NOT NULL DEFAULT '',
  processes TEXT,
  port BIGINT NOT NULL DEFAULT 0,
  updates TEXT,
  clear_cache BOOLEAN NOT NULL DEFAULT FALSE,
  error TEXT NOT NULL DEFAULT '',
  created_at TIMESTAMPTZ NOT NULL,
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  UNIQUE (app_id, number)
);
CREATE INDEX paas_builds_unfinished ON paas_builds (state) WHERE state IN ('queued','running');

CREATE TABLE paas_releases (
  id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  build_id UUID REFERENCES paas_builds(id),
  "commit" TEXT NOT NULL,
  image TEXT NOT NULL,
  processes TEXT,
  port BIGINT NOT NULL DEFAULT 0,
  config BYTEA NOT NULL,
  description TEXT NOT NULL,
  actor_id UUID NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  UNIQUE (app_id, number)
);

CREATE TABLE paas_deployments (
  id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  release_id UUID NOT NULL REFERENCES paas_releases(id) ON DELETE CASCADE,
  previous_id UUID,
  state TEXT NOT NULL CHECK (state IN ('pending','releasing','rolling','live','failed','superseded')),
  error TEXT NOT NULL DEFAULT '',
  probes BIGINT NOT NULL DEFAULT 0,
  probes_failed BIGINT NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ
);
CREATE INDEX paas_deployments_unfinished ON paas_deployments (state) WHERE state IN ('pending','releasing','rolling');
CREATE INDEX paas_deployments_release ON paas_deployments (release_id);

CREATE TABLE paas_instances (
  id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  release_id UUID NOT NULL REFERENCES paas_releases(id) ON DELETE CASCADE,
  node_id UUID NOT NULL REFERENCES paas_nodes(id),
  process TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX paas_instances_app ON paas_instances (app_id);
CREATE INDEX paas_instances_node ON paas_instances (node_id);

CREATE TABLE paas_events (
  id UUID PRIMARY KEY,
  app_id UUID,
  actor_id UUID,
  actor TEXT NOT NULL,
  via TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX paas_events_app ON paas_events (app_id, id);

