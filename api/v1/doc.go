// Package v1 is Sky's REST API as its clients see it: the shapes on the wire
// and a client that speaks them.
package v1
