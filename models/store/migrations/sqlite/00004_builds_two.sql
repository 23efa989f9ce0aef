-- +goose Up
-- The packages in each image that was released: a compressed CycloneDX document.
CREATE TABLE paas_sboms (
  app_id TEXT NOT NULL REFERENCES paas_applications(id) ON DELETE CASCADE,
  image TEXT NOT NULL,
  document BLOB NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (app_id, image)
);
