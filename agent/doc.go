// Package agent makes one Node match its Assignment, and says what it sees.
//
// An Agent dials its control plane, keeps the newest Assignment on disk, and
// reconciles Docker and its ingress with it. It goes on serving from the
// Assignment on disk for as long as the control plane is away, and after its
// own restart rebuilds everything from there and from Docker.
//
// Docker runs the Instances, by itself or as a Swarm's: the engine interface hides
// which. Docker is the database: labels say which Instance a container is, and the
// restart policy unless-stopped (a label of the service, in a Swarm) says durably
// that it once was healthy. Only
// what Docker cannot hold is in files: the Assignment, and why Instances
// failed, because their containers are gone.
//
// Each App has one goroutine, which alone owns what is known of its
// Instances. It lists the App's containers, asks the pure function plan for
// the next transitions, and starts each as a task of its own; a task's end is
// reported back to it. So the slow work of one App, or of one Instance, holds
// up nothing else.
//
// A container gets, beside the App's configuration, these variables: PORT
// when its process has a port, SKY_APP, SKY_RELEASE (the number) and
// SKY_PROCESS.
//
// An Instance that was healthy and whose process then ended stays "healthy",
// because states only move forward, with a Reason that says that Docker is
// restarting it; it gets no requests meanwhile. Four deaths within five
// minutes make it "failed".
package agent
