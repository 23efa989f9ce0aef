-- +goose Up
-- Metrics by the minute and by the hour: step is 60 or 3600 seconds.
CREATE TABLE paas_app_traffic (
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  step BIGINT NOT NULL,
  at DATETIME NOT NULL,
  status TEXT NOT NULL,
  bad_gateway BIGINT NOT NULL,
  unavailable BIGINT NOT NULL,
  gateway_timeout BIGINT NOT NULL,
  latency TEXT,
  took BIGINT NOT NULL,
  bytes_in BIGINT NOT NULL,
  bytes_out BIGINT NOT NULL,
  held BIGINT NOT NULL,
  retried BIGINT NOT NULL,
  websockets BIGINT NOT NULL,
  PRIMARY KEY (app_id, step, at)
);
CREATE INDEX paas_app_traffic_at ON paas_app_traffic (step, at);

CREATE TABLE paas_app_usage (
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  process TEXT NOT NULL,
  step BIGINT NOT NULL,
  at DATETIME NOT NULL,
  samples BIGINT NOT NULL,
  cpu_percent REAL NOT NULL,
  cpu_peak REAL NOT NULL,
  memory_bytes BIGINT NOT NULL,
  memory_peak BIGINT NOT NULL,
  received_bytes BIGINT NOT NULL,
  sent_bytes BIGINT NOT NULL,
  PRIMARY KEY (app_id, step, at, process)
);
CREATE INDEX paas_app_usage_at ON paas_app_usage (step, at);

CREATE TABLE paas_node_usage (
  node_id TEXT NOT NULL REFERENCES paas_nodes(id) ON DELETE CASCADE,
  step BIGINT NOT NULL,
  at DATETIME NOT NULL,
  samples BIGINT NOT NULL,
  cpu_percent REAL NOT NULL,
  cpu_peak REAL NOT NULL,
  memory_bytes BIGINT NOT NULL,
  memory_peak BIGINT NOT NULL,
  disk_bytes BIGINT NOT NULL,
  disk_total BIGINT NOT NULL,
  containers BIGINT NOT NULL,
  PRIMARY KEY (node_id, step, at)
);
CREATE INDEX paas_node_usage_at ON paas_node_usage (step, at);

-- Up to where the counters of a node's ingress are in paas_app_traffic.
CREATE TABLE paas_traffic_marks (
  node_id TEXT NOT NULL REFERENCES paas_nodes(id) ON DELETE CASCADE,
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  counters TEXT NOT NULL,
  PRIMARY KEY (node_id, app_id)
);
CREATE INDEX paas_traffic_marks_app ON paas_traffic_marks (app_id);
