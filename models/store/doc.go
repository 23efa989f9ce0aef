// Package store keeps the nouns of package models in SQLite or PostgreSQL. It
// is the only user of gorm.
//
// A Store is safe for concurrent use. Every method takes a context and returns
// models.NotFound for a row that is not there and models.Conflict for one that
// exists already; any other error is a fault of the database. Transact runs
// several calls in one transaction.
package store
