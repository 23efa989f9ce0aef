// Package fleet is the control plane's view of its agents.
//
// It ends the agents' links, hands each agent the newest Assignment of its
// Node, and holds what every agent last observed, so that a rollout can wait
// for a condition over it. Nothing here decides what is to run where: an
// Assignment is computed by whoever implements Assignments, and the fleet asks
// for it anew whenever Refresh says that it may have changed.
//
// Every agent has goroutines of its own, and every callback for an agent is
// made from them: an agent, or a sink, that is slow delays that agent only.
package fleet
