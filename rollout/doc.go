// Package rollout moves an App from the Instances that it has to the ones that
// it should have, without losing a request.
//
// The plan is pure: what to start, what to stop. Carrying it out takes three
// steps, each durable before its effect: start the new Instances beside the old
// ones; wait until all are healthy; in one transaction lead the routes to the
// new Release and let the old Instances go, which their agents drain first. A
// new Instance that fails undoes the first step, and the old ones never noticed.
package rollout
