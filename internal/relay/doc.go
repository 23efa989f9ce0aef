// Package relay makes several control planes one to the outside: whichever a
// connection reaches, it is served by the one that leads.
//
// Each has doors, which are listeners. While a control plane stands by, it hands
// every connection on to the leader, over TLS that proves both to be control planes
// of one installation; the door's name travels as the protocol of ALPN (RFC 7301),
// the client's address in a PROXY header (HAProxy's PROXY protocol, version 2). While
// it leads, its doors give out their own connections and those that others hand on.
// Between two leaders, connections wait.
package relay
