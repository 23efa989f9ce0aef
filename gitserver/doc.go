// Package gitserver turns git's bytes into a models.Push and back: an SSH door
// and a smart-HTTP door, both over repositories that no git program touches.
//
// A push is one story, told by receive.go: advertise, read the commands, index
// the pack in quarantine, apply the policy, keep the objects, hand the Push to
// the Receiver, report. Refs move only through Repositories.UpdateRefs, which
// the Receiver calls when the new release serves.
//
// Every push leaves a pack; consolidate.go makes one of many, and says why no
// push loses what it relies on.
//
// The parts, from the bottom: object (ids, kinds, checks), packfile (the pack
// indexer and its entries), objectdb (reading), outgoing (packs for clients),
// refs, pktline (packets and side bands). The wire formats are those of git's Documentation/gitprotocol-pack,
// gitprotocol-v2, gitprotocol-http and gitformat-pack.
package gitserver
