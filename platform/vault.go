package platform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
)

// Vault seals secrets with AES-256-GCM. Its key ring is a file that only Sky
// reads; the first key seals, every key opens, so that keys can be rotated. A
// sealed value opens only in the place that it was sealed for: ciphertext
// that was moved to another row does not decrypt.
type Vault struct{ keys []masterKey }

type masterKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

const (
	masterKeyBytes = 32
	keyIDBytes     = 4
)

// OpenVault reads the key ring at path. Where there is none it makes one, unless
// mustExist says that something was sealed already: a fresh key would make that
// unreadable for ever.
func OpenVault(path string, mustExist bool) (*Vault, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if mustExist {
			return nil, fmt.Errorf("the database holds secrets, but their key %s is missing: restore it from your backup", path)
		}
		return createVault(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key ring: %w", err)
	}
	vault := &Vault{}
	if err := json.Unmarshal(text, &vault.keys); err != nil || !usable(vault.keys) {
		return nil, fmt.Errorf("the key ring %s is damaged: restore it from your backup", path)
	}
	return vault, nil
}

func usable(keys []masterKey) bool {
	for _, key := range keys {
		id, err := hex.DecodeString(key.ID)
		if err != nil || len(id) != keyIDBytes || len(key.Key) != masterKeyBytes {
			return false
		}
	}
	return len(keys) > 0
}

func createVault(path string) (*Vault, error) {
	random := make([]byte, keyIDBytes+masterKeyBytes)
	_, _ = rand.Read(random) // never fails, by its documentation
	vault := &Vault{keys: []masterKey{{ID: hex.EncodeToString(random[:keyIDBytes]), Key: random[keyIDBytes:]}}}
	text, err := json.Marshal(vault.keys)
	if err != nil {
		return nil, fmt.Errorf("encode key ring: %w", err)
	}
	return vault, writeSecret(path, text)
}

// writeSecret writes a file that only its owner may read, durably and whole.
func writeSecret(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := durable.WriteFile(path, data); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// Derive returns a key for purpose, from the ring's first key (HKDF, RFC 5869).
func (v *Vault) Derive(purpose string) ([]byte, error) { return derive(v.keys[0], purpose) }

func derive(key masterKey, purpose string) ([]byte, error) {
	derived, err := hkdf.Key(sha256.New, key.Key, nil, "sky "+purpose, masterKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return derived, nil
}

// place is where a sealed value belongs: whose key seals it, and which row and
// column of theirs it is.
type place struct{ owner, row string }

func ofApp(app models.ID, row string) place   { return place{"app " + app.String(), row} }
func ofUser(user models.ID, row string) place { return place{"user " + user.String(), row} }

// seal encrypts plain for its place.
func (v *Vault) seal(at place, plain []byte) ([]byte, error) {
	key := v.keys[0]
	aead, err := ownerCipher(key, at.owner)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(key.ID)
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	sealed := make([]byte, keyIDBytes+aead.NonceSize(), keyIDBytes+aead.NonceSize()+len(plain)+aead.Overhead())
	copy(sealed, id)
	nonce := sealed[keyIDBytes:]
	_, _ = rand.Read(nonce)
	return aead.Seal(sealed, nonce, plain, []byte(at.row)), nil
}

// open decrypts what seal made for the same place.
func (v *Vault) open(at place, sealed []byte) ([]byte, error) {
	for _, key := range v.keys {
		if len(sealed) < keyIDBytes || hex.EncodeToString(sealed[:keyIDBytes]) != key.ID {
			continue
		}
		aead, err := ownerCipher(key, at.owner)
		if err != nil {
			return nil, err
		}
		rest := sealed[keyIDBytes:]
		if len(rest) < aead.NonceSize() {
			break
		}
		plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(at.row))
		if err != nil {
			return nil, errors.New("a sealed value does not open: it was changed or moved")
		}
		return plain, nil
	}
	return nil, errors.New("a sealed value was sealed with a key that is not in the key ring")
}

func ownerCipher(key masterKey, owner string) (cipher.AEAD, error) {
	derived, err := derive(key, owner)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	return cipher.NewGCM(block)
}
