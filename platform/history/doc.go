// Package history remembers what agents measure: for a quarter of an hour in
// steps of thirty seconds, and by the minute until it is taken to the database.
//
// Ingresses tell counters that only grow. A mark for each Node and App says up to
// where they were added; it is taken to the database together with what was added,
// so that after a restart of the control plane the next heartbeat brings exactly
// what is missing.
package history
