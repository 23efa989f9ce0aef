// Package api is the REST edge: it decodes a request, makes one call into
// package platform and encodes the answer. Its OpenAPI document is generated
// from the same types that package api/v1 shares with clients.
package api
