// Package testenv gives tests real parts: a Docker engine that is cleaned up, a
// PostgreSQL of their own, free ports. It is for tests only.
package testenv
