// Package ingress leads HTTP requests to the Instances of a Node's Apps.
//
// A request claims a Target before it is forwarded and gives it back when the
// answer has ended, so that Drain knows exactly when the last one left. The
// claim counts first and then looks whether the Target drains; Drain says
// that it drains first and then looks at the count: one of the two always
// sees the other, and no request is lost between them.
//
// A request that finds no Target that answers is held for a while, because a
// new one is usually seconds away. A request is tried again elsewhere when
// nothing of it was sent: any method after a failed dial, and twice at most
// one without a body, of a safe method, whose connection died.
//
// Answers that the ingress makes itself carry the header X-Sky-Error, so that
// they can be told from an App's own.
package ingress
