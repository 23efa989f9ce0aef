// Package outgoing makes the pack that a fetch asked for: Select finds what the
// client lacks, Write sends it with the bytes that the store already holds
// deflated and, where both ends of a delta are sent, as the deltas they are.
package outgoing
