// Package testenv gives tests and benchmarks real parts: a Docker engine that is
// cleaned up, a PostgreSQL of their own, free ports. The product never imports it.
package testenv
