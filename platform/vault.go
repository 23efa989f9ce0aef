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
	"slices"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
)

// Vault seals secrets with AES-256-GCM. Its key ring is a file that only Sky
// reads; the first key seals, every key opens, so that keys can be rotated. A
// sealed value opens only in the place that it was sealed for: ciphertext
// that was moved to another row does not decrypt.
type Vault struct {
	path string
	ring atomic.Pointer[[]masterKey]
}

type masterKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
	// Retired is since when it seals nothing; nil while it does.
	Retired *time.Time `json:"retired,omitempty"`
}

const (
	masterKeyBytes = 32
	keyIDBytes     = 4
)

// OpenVault reads the key ring at path. Where there is none it makes one, unless
// mustExist says that something was sealed already: a fresh key would make that
// unreadable for ever.
func OpenVault(path string, mustExist bool) (*Vault, error) {
	vault := &Vault{path: path}
	err := vault.reload()
	if !errors.Is(err, os.ErrNotExist) {
		return vault, err
	}
	if mustExist {
		return nil, fmt.Errorf("the database holds secrets, but their key %s is missing: restore it from your backup", path)
	}
	return vault, vault.keep([]masterKey{newMasterKey()})
}

// reload reads the ring as it is on disk.
func (v *Vault) reload() error {
	text, err := os.ReadFile(v.path)
	if err != nil {
		return fmt.Errorf("read key ring: %w", err)
	}
	var keys []masterKey
	if err := json.Unmarshal(text, &keys); err != nil || !usable(keys) {
		return fmt.Errorf("the key ring %s is damaged: restore it from your backup", v.path)
	}
	v.ring.Store(&keys)
	return nil
}

// keep makes keys the ring: on disk first, so that nothing is ever sealed with a
// key that a crash loses.
func (v *Vault) keep(keys []masterKey) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("encode key ring: %w", err)
	}
	if err := writeSecret(v.path, text); err != nil {
		return err
	}
	v.ring.Store(&keys)
	return nil
}

func (v *Vault) keys() []masterKey { return *v.ring.Load() }

// rotate puts a fresh key at the head of the ring, retires the others, and
// returns its id.
func (v *Vault) rotate(at time.Time) (string, error) {
	fresh := newMasterKey()
	ring := append([]masterKey{fresh}, v.keys()...)
	for i := range ring[1:] {
		if ring[1+i].Retired == nil {
			ring[1+i].Retired = &at
		}
	}
	return fresh.ID, v.keep(ring)
}

// hasRetired reports whether a key was retired before a time.
func (v *Vault) hasRetired(before time.Time) bool {
	return slices.ContainsFunc(v.keys(), func(key masterKey) bool { return key.retired(before) })
}

// prune drops the keys that were retired before a time.
func (v *Vault) prune(before time.Time) error {
	return v.keep(slices.DeleteFunc(slices.Clone(v.keys()), func(key masterKey) bool { return key.retired(before) }))
}

func (k masterKey) retired(before time.Time) bool {
	return k.Retired != nil && k.Retired.Before(before)
}

// isCurrent reports whether sealed was sealed with the key that seals now.
func (v *Vault) isCurrent(sealed []byte) bool {
	return len(sealed) >= keyIDBytes && hex.EncodeToString(sealed[:keyIDBytes]) == v.keys()[0].ID
}

func newMasterKey() masterKey {
	random := make([]byte, keyIDBytes+masterKeyBytes)
	_, _ = rand.Read(random) // never fails, by its documentation
	return masterKey{ID: hex.EncodeToString(random[:keyIDBytes]), Key: random[keyIDBytes:]}
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

// derived returns a key for purpose from each key of the ring (HKDF, RFC 5869);
// the first is the one to sign with.
func (v *Vault) derived(purpose string) ([][]byte, error) {
	var keys [][]byte
	for _, key := range v.keys() {
		made, err := derive(key, purpose)
		if err != nil {
			return nil, err
		}
		keys = append(keys, made)
	}
	return keys, nil
}

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
	key := v.keys()[0]
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

// open decrypts what seal made for the same place. A key that is not known may
// have been put into the ring by another process: it is looked for there once.
func (v *Vault) open(at place, sealed []byte) ([]byte, error) {
	plain, err := v.openWith(v.keys(), at, sealed)
	if errors.Is(err, errUnknownKey) && v.reload() == nil {
		plain, err = v.openWith(v.keys(), at, sealed)
	}
	return plain, err
}

var errUnknownKey = errors.New("a sealed value was sealed with a key that is not in the key ring")

func (v *Vault) openWith(keys []masterKey, at place, sealed []byte) ([]byte, error) {
	for _, key := range keys {
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
	return nil, errUnknownKey
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
