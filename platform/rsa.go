package platform

import (
	"crypto/rsa"

	"golang.org/x/crypto/ssh"
)

// rsaBits returns the modulus size of an RSA key, or 0.
func rsaBits(key ssh.PublicKey) int {
	wrapped, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	public, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return 0
	}
	return public.N.BitLen()
}
