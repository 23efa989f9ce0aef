// Package pktline reads and writes git's packets and multiplexes side bands
// over them, as Documentation/gitprotocol-common and gitprotocol-pack say.
package pktline
