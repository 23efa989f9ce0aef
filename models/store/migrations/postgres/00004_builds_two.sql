-- +goose Up
-- The packages in each image that was released: a compressed CycloneDX document.
CREATE TABLE paas_sboms (
  app_id UUID NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  image TEXT NOT NULL,
  document BYTEA NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (app_id, image)
);
