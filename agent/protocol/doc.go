// Package protocol is what the control plane and its agents say to each other.
//
// One outbound WebSocket from agent to control plane carries yamux streams.
// The agent opens the first stream for control: length-framed JSON messages,
// one Message per frame. Every other stream carries one thing, told by the
// StreamHeader it begins with: an Instance's log, for now.
//
// Desired state flows down whole, as an Assignment with a generation; the
// newest wins, and there are no commands. Observed state flows up whole too.
package protocol
