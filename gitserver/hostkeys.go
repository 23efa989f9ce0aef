package gitserver

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/internal/durable"
)

const rsaBits = 3072

// LoadHostKeys reads the server's ed25519 and RSA keys from dir, and makes
// those that are missing, in OpenSSH's format, readable by their owner only.
func LoadHostKeys(dir string) ([]gossh.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make host key directory: %w", err)
	}
	var signers []gossh.Signer
	for _, kind := range []string{"ed25519", "rsa"} {
		signer, err := loadHostKey(filepath.Join(dir, "ssh_host_"+kind+"_key"), kind)
		if err != nil {
			return nil, fmt.Errorf("load %s host key: %w", kind, err)
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

func loadHostKey(path, kind string) (gossh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeHostKey(path, kind)
	}
	if err != nil {
		return nil, err
	}
	return gossh.ParsePrivateKey(text)
}

func makeHostKey(path, kind string) ([]byte, error) {
	key, err := generateKey(kind)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(key, "sky")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	return text, durable.WriteFile(path, text)
}

func generateKey(kind string) (crypto.PrivateKey, error) {
	if kind == "rsa" {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}
