// Package github speaks with GitHub: github.com, or a GitHub Enterprise server.
//
// A Host is one of them, with what the operator registered there: an OAuth app,
// or a GitHub App. It sends people to authorise Sky and exchanges what they come
// back with for a Grant. With a Grant's token a Client lists repositories and
// branches, keeps webhooks, and writes commit statuses, deployments and comments.
// ReadDelivery checks a webhook's signature, and ParseEvent reads what it says.
//
// The package keeps nothing and decides nothing: package platform does. All
// errors are models.Errors, and none holds a token:
//
//	Unauthorized  GitHub does not take the token, or not any more
//	Forbidden     the token may not do that
//	NotFound      there is no such thing, or the token may not see it
//	TooMany       a rate limit; RetryAfter says until when
//	Unavailable   GitHub does not answer, or not as GitHub does
package github
