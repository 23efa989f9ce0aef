package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// AuthorityPath is where a control plane whose certificate is by an authority of its
// own serves that one's certificate, in PEM.
const AuthorityPath = "/api/internal/paas/ca.pem"

// JoinToken is what registers an agent: a secret, and, unless that is empty, the pin
// of the authority that the agent is to trust, and no other.
func JoinToken(secret, pin string) string {
	if pin == "" {
		return secret
	}
	return secret + "." + pin
}

// SplitJoinToken returns a join token's secret and pin.
func SplitJoinToken(token string) (secret, pin string) {
	secret, pin, _ = strings.Cut(token, ".")
	return secret, pin
}

// Pin is the fingerprint of what AuthorityPath serves: the SHA-256 of its bytes, as
// sha256sum prints it; empty for nothing.
func Pin(authority []byte) string {
	if len(authority) == 0 {
		return ""
	}
	sum := sha256.Sum256(authority)
	return hex.EncodeToString(sum[:])
}
