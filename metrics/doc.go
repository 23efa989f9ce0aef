// Package metrics shows Prometheus how Sky is: the control plane with Control, an
// agent with Node. It is the only package that knows Prometheus.
//
// Every label has few values: an App's or a Node's name, a state, a status class,
// or the pattern of an address, never what a client sent.
package metrics
