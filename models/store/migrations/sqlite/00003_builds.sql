-- +goose Up
-- The API token that a push was made with: once it is revoked, the push no longer goes live.
ALTER TABLE paas_builds ADD COLUMN token_id TEXT;

-- An address that its owner proved, or an admin vouches for; others yield to it.
ALTER TABLE paas_users ADD COLUMN email_proven INTEGER NOT NULL DEFAULT 0;

-- Whether the release command of a deployment has run, or is not to run.
ALTER TABLE paas_deployments ADD COLUMN released INTEGER NOT NULL DEFAULT 0;

-- Commands that run once: what a build found, and what its releases carry.
ALTER TABLE paas_builds ADD COLUMN scripts TEXT;
ALTER TABLE paas_builds ADD COLUMN health_path TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_releases ADD COLUMN scripts TEXT;
ALTER TABLE paas_releases ADD COLUMN health_path TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_instances ADD COLUMN once INTEGER NOT NULL DEFAULT 0;

-- How an app is built.
ALTER TABLE paas_applications ADD COLUMN root_dir TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN build_command TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN start_command TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN dockerfile TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN docker_target TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_applications ADD COLUMN build_variables TEXT;
ALTER TABLE paas_applications ADD COLUMN build_arguments TEXT;

-- What one build of an app on the plan may use; 0 CPUs are all of the builder's.
ALTER TABLE paas_plans ADD COLUMN build_cpu_millis BIGINT NOT NULL DEFAULT 0;
ALTER TABLE paas_plans ADD COLUMN build_memory_bytes BIGINT NOT NULL DEFAULT 2147483648;
ALTER TABLE paas_plans ADD COLUMN build_minutes BIGINT NOT NULL DEFAULT 30;

-- What a build was made of and did: the same inputs make the same image.
ALTER TABLE paas_builds ADD COLUMN inputs TEXT;
ALTER TABLE paas_builds ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE paas_builds ADD COLUMN steps TEXT;
CREATE INDEX paas_builds_fingerprint ON paas_builds (app_id, fingerprint) WHERE fingerprint <> '';

-- The prebuilt image that a deployment takes instead of building one.
ALTER TABLE paas_builds ADD COLUMN source_image TEXT NOT NULL DEFAULT '';
