// Package github is a stand-in for GitHub Enterprise: what Sky calls of its web,
// its REST API and its git door, real repositories made by stock git, and signed
// webhook deliveries which a test can lose, repeat, reorder and hold. Its answers
// are checked against GitHub's published description. The product never imports
// it.
//
// A hook's deliveries are sent one after another, in the order of their events.
//
// A Host is driven by methods, or by the words of Command. Nothing in it waits
// for a clock: Wait and WaitDelivery return when what they ask for has happened,
// and Advance moves its clock.
package github
