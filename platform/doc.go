// Package platform holds the product's verbs, once: whatever door somebody
// comes through, SSH, HTTP or the API, it calls one method here.
//
// push.go tells the story of a push. What changes a running App (deploy, config
// change, rollback, scale, restart, stop) goes through the App's lane, one at a
// time, and goes on when the one who asked hangs up.
package platform
