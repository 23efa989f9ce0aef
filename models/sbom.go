package models

import "time"

// SBOM lists the packages in an image: the software bill of materials of all
// Releases of an App that run it. It outlives the image.
type SBOM struct {
	AppID     ID     `gorm:"primaryKey"`
	Image     string `gorm:"primaryKey"`
	Document  []byte // CycloneDX in JSON, compressed by package platform
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (SBOM) TableName() string { return "paas_sboms" }
