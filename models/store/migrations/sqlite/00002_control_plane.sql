-- +goose Up
CREATE TABLE paas_organisations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  suspended INTEGER NOT NULL DEFAULT 0,
  suspended_reason TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  deleted_at DATETIME
);
CREATE UNIQUE INDEX paas_organisations_name ON paas_organisations (name) WHERE deleted_at IS NULL;

CREATE TABLE paas_memberships (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id) ON DELETE CASCADE,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK (role IN ('owner','admin','developer','viewer','billing')),
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  UNIQUE (organisation_id, user_id)
);
CREATE INDEX paas_memberships_user ON paas_memberships (user_id);

CREATE TABLE paas_invitations (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id) ON DELETE CASCADE,
  email TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner','admin','developer','viewer','billing')),
  hash BLOB NOT NULL UNIQUE,
  inviter_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  expires_at DATETIME NOT NULL,
  created_at DATETIME NOT NULL,
  UNIQUE (organisation_id, email)
);

ALTER TABLE paas_users ADD COLUMN email TEXT;
ALTER TABLE paas_users ADD COLUMN password_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_users ADD COLUMN totp_secret BLOB;
ALTER TABLE paas_users ADD COLUMN totp_enabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE paas_users ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_users ADD COLUMN recovery_hashes TEXT;
ALTER TABLE paas_users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE paas_users ADD COLUMN updated_at DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00+00:00';
UPDATE paas_users SET updated_at = created_at;
CREATE UNIQUE INDEX paas_users_email ON paas_users (email) WHERE email IS NOT NULL;

CREATE TABLE paas_sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  hash BLOB NOT NULL UNIQUE,
  client TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  expires_at DATETIME NOT NULL,
  seen_at DATETIME NOT NULL,
  created_at DATETIME NOT NULL
);
CREATE INDEX paas_sessions_user ON paas_sessions (user_id);

CREATE TABLE paas_one_time_tokens (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  purpose TEXT NOT NULL CHECK (purpose IN ('setup','password')),
  hash BLOB NOT NULL UNIQUE,
  used_at DATETIME,
  expires_at DATETIME NOT NULL,
  created_at DATETIME NOT NULL
);

ALTER TABLE paas_tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '["admin"]';
ALTER TABLE paas_tokens ADD COLUMN organisation_id TEXT REFERENCES paas_organisations(id) ON DELETE CASCADE;
ALTER TABLE paas_tokens ADD COLUMN used_at DATETIME;
CREATE INDEX paas_tokens_user ON paas_tokens (user_id);

-- Everybody who owned apps gets an organisation of the same name that does.
INSERT INTO paas_organisations (id, name, created_at, updated_at)
  SELECT id, name, created_at, created_at FROM paas_users;
INSERT INTO paas_memberships (id, organisation_id, user_id, role, created_at, updated_at)
  SELECT id, id, id, 'owner', created_at, created_at FROM paas_users;

CREATE TABLE paas_plans (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL DEFAULT '',
  cpu_millis BIGINT NOT NULL CHECK (cpu_millis > 0),
  memory_bytes BIGINT NOT NULL CHECK (memory_bytes > 0),
  storage_bytes BIGINT NOT NULL CHECK (storage_bytes > 0),
  pids BIGINT NOT NULL CHECK (pids > 0),
  max_instances BIGINT NOT NULL CHECK (max_instances > 0),
  price_month_micros BIGINT NOT NULL CHECK (price_month_micros >= 0),
  price_hour_micros BIGINT NOT NULL CHECK (price_hour_micros >= 0),
  position BIGINT NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);

ALTER TABLE paas_runtimes ADD COLUMN build_command TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_runtimes ADD COLUMN start_command TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_runtimes ADD COLUMN updated_at DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00+00:00';
UPDATE paas_runtimes SET updated_at = created_at;

ALTER TABLE paas_builds ADD COLUMN runtime_type TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_builds ADD COLUMN runtime_version TEXT NOT NULL DEFAULT '';

CREATE TABLE paas_plan_runtimes (
  plan_id TEXT NOT NULL REFERENCES paas_plans(id) ON DELETE CASCADE,
  runtime_id TEXT NOT NULL REFERENCES paas_runtimes(id) ON DELETE CASCADE,
  PRIMARY KEY (plan_id, runtime_id)
);

ALTER TABLE paas_nodes ADD COLUMN region TEXT NOT NULL DEFAULT 'default';
ALTER TABLE paas_nodes ADD COLUMN cordoned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN cpu_percent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN memory_used_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN disk_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN disk_used_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN containers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_nodes ADD COLUMN updated_at DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00+00:00';
UPDATE paas_nodes SET updated_at = created_at;

ALTER TABLE paas_applications RENAME COLUMN owner_id TO creator_id;
ALTER TABLE paas_applications ADD COLUMN organisation_id TEXT REFERENCES paas_organisations(id);
ALTER TABLE paas_applications ADD COLUMN plan_id TEXT REFERENCES paas_plans(id);
ALTER TABLE paas_applications ADD COLUMN region TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
UPDATE paas_applications SET organisation_id = creator_id;
CREATE INDEX paas_applications_organisation ON paas_applications (organisation_id, name);
CREATE INDEX paas_applications_plan ON paas_applications (plan_id);
CREATE INDEX paas_applications_created ON paas_applications (created_at, id);
CREATE INDEX paas_applications_updated ON paas_applications (updated_at, id);

ALTER TABLE paas_instances ADD COLUMN plan_id TEXT REFERENCES paas_plans(id);

CREATE TABLE paas_domains (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  host TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending','verified')),
  challenge TEXT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  checked_at DATETIME,
  verified_at DATETIME,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  UNIQUE (app_id, host)
);
CREATE UNIQUE INDEX paas_domains_verified ON paas_domains (host) WHERE state = 'verified';

-- Money is in millionths of the platform's currency.
CREATE TABLE paas_wallets (
  organisation_id TEXT PRIMARY KEY REFERENCES paas_organisations(id),
  balance_micros BIGINT NOT NULL DEFAULT 0,
  sequence BIGINT NOT NULL DEFAULT 0,
  grace_until DATETIME,
  low_balance_at DATETIME,
  spending_alert_micros BIGINT NOT NULL DEFAULT 0,
  spending_alerted TEXT NOT NULL DEFAULT '',
  updated_at DATETIME NOT NULL
);
INSERT INTO paas_wallets (organisation_id, updated_at) SELECT id, created_at FROM paas_organisations;

CREATE TABLE paas_usage_intervals (
  id TEXT PRIMARY KEY,
  instance_id TEXT NOT NULL UNIQUE,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id),
  app_id TEXT NOT NULL,
  app_name TEXT NOT NULL,
  process TEXT NOT NULL,
  plan_name TEXT NOT NULL,
  price_hour_micros BIGINT NOT NULL CHECK (price_hour_micros >= 0),
  started_at DATETIME NOT NULL,
  ended_at DATETIME,
  billed_until DATETIME NOT NULL
);
CREATE INDEX paas_usage_intervals_organisation ON paas_usage_intervals (organisation_id, started_at);
CREATE INDEX paas_usage_intervals_app ON paas_usage_intervals (app_id);
CREATE INDEX paas_usage_intervals_open ON paas_usage_intervals (billed_until) WHERE ended_at IS NULL;
CREATE INDEX paas_usage_intervals_tail ON paas_usage_intervals (billed_until) WHERE ended_at IS NOT NULL AND billed_until < ended_at;

CREATE TABLE paas_billing_records (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id),
  interval_id TEXT NOT NULL REFERENCES paas_usage_intervals(id),
  hour DATETIME NOT NULL,
  used_micros BIGINT NOT NULL,
  amount_micros BIGINT NOT NULL,
  created_at DATETIME NOT NULL,
  UNIQUE (interval_id, hour)
);
CREATE INDEX paas_billing_records_organisation ON paas_billing_records (organisation_id, hour);

CREATE TABLE paas_ledger_entries (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id),
  sequence BIGINT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('usage','top-up','credit','adjustment')),
  ref TEXT NOT NULL,
  amount_micros BIGINT NOT NULL,
  balance_micros BIGINT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  UNIQUE (kind, ref),
  UNIQUE (organisation_id, sequence)
);

-- +goose StatementBegin
CREATE TRIGGER paas_ledger_entries_no_update BEFORE UPDATE ON paas_ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER paas_ledger_entries_no_delete BEFORE DELETE ON paas_ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- +goose StatementEnd

CREATE TABLE paas_notifications (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id) ON DELETE CASCADE,
  app_id TEXT,
  kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  text TEXT NOT NULL,
  read_at DATETIME,
  created_at DATETIME NOT NULL,
  UNIQUE (kind, ref)
);
CREATE INDEX paas_notifications_organisation ON paas_notifications (organisation_id, id);

ALTER TABLE paas_events ADD COLUMN organisation_id TEXT;
ALTER TABLE paas_events ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX paas_events_organisation ON paas_events (organisation_id, id);
CREATE INDEX paas_events_kind ON paas_events (kind, id);

CREATE TABLE paas_settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  updated_at DATETIME NOT NULL
);

CREATE TABLE paas_idempotency_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES paas_users(id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  status BIGINT NOT NULL DEFAULT 0,
  content_type TEXT NOT NULL DEFAULT '',
  answer BLOB,
  expires_at DATETIME NOT NULL,
  created_at DATETIME NOT NULL,
  UNIQUE (user_id, key)
);

CREATE TABLE paas_webhook_deliveries (
  id TEXT PRIMARY KEY,
  app_id TEXT REFERENCES paas_applications(id) ON DELETE SET NULL,
  provider TEXT NOT NULL,
  delivery TEXT NOT NULL,
  event TEXT NOT NULL,
  body BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('received','done','ignored','failed')),
  outcome TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  finished_at DATETIME,
  UNIQUE (provider, delivery)
);

CREATE TABLE paas_tasks (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  unique_key TEXT,
  organisation_id TEXT REFERENCES paas_organisations(id) ON DELETE CASCADE,
  payload TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued','running','done','failed','cancelled')),
  attempt BIGINT NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  lease_until DATETIME,
  run_at DATETIME NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX paas_tasks_unique ON paas_tasks (unique_key) WHERE state IN ('queued','running');
CREATE INDEX paas_tasks_due ON paas_tasks (run_at) WHERE state IN ('queued','running');

CREATE TABLE paas_databases (
  id TEXT PRIMARY KEY,
  organisation_id TEXT NOT NULL REFERENCES paas_organisations(id),
  name TEXT NOT NULL UNIQUE,
  engine TEXT NOT NULL,
  version TEXT NOT NULL,
  plan_id TEXT REFERENCES paas_plans(id),
  node_id TEXT REFERENCES paas_nodes(id),
  state TEXT NOT NULL,
  credentials BLOB,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL
);

CREATE TABLE paas_app_databases (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  database_id TEXT NOT NULL REFERENCES paas_databases(id),
  prefix TEXT NOT NULL DEFAULT '',
  created_at DATETIME NOT NULL,
  UNIQUE (app_id, database_id),
  UNIQUE (app_id, prefix)
);
