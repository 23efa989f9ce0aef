package platform

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed" // for the commonest passwords
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/skypanel/sky/models"
	"golang.org/x/crypto/argon2"
)

// The cost of argon2id (RFC 9106), and the bounds of a password in characters.
const (
	argonTime      = 2
	argonMemory    = 19 << 10 // KB
	argonThreads   = 1
	argonSalt      = 16
	argonKey       = 32
	minPassword    = 12
	maxPassword    = 200
	minOwnPassword = 8 // what is left without the user's own name
	minDistinct    = 5
)

//go:embed passwords.txt
var commonPasswords string

// hasher hashes passwords, few at once: each takes memory and a core. Its zero
// value is not ready; newHasher makes one.
type hasher struct {
	turns  chan struct{}
	memory uint32 // in KB
	// nobody is the hash of a password that nobody has, for users that there are
	// not: they take as long to refuse as the others.
	nobody string
}

func newHasher(memory uint32) *hasher {
	h := &hasher{turns: make(chan struct{}, max(1, min(4, runtime.NumCPU()))), memory: memory}
	h.nobody = h.encode(make([]byte, argonSalt), make([]byte, argonKey))
	return h
}

// hash returns the password's PHC string. It waits for its turn.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	key, err := h.key(ctx, password, salt)
	return h.encode(salt, key), err
}

// verify reports whether the password is the one that was hashed. An empty hash
// is nobody's, and costs as much.
func (h *hasher) verify(ctx context.Context, password, hashed string) (bool, error) {
	known := hashed != ""
	if !known {
		hashed = h.nobody
	}
	salt, wanted, err := h.decode(hashed)
	if err != nil {
		return false, err
	}
	key, err := h.key(ctx, password, salt)
	return known && err == nil && subtle.ConstantTimeCompare(key, wanted) == 1, err
}

func (h *hasher) key(ctx context.Context, password string, salt []byte) ([]byte, error) {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, argonTime, h.memory, argonThreads, argonKey), nil
}

const hashFormat = "$argon2id$v=%d$m=%d,t=%d,p=%d$"

func (h *hasher) encode(salt, key []byte) string {
	return fmt.Sprintf(hashFormat, argon2.Version, h.memory, argonTime, argonThreads) +
		base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(key)
}

func (h *hasher) decode(text string) (salt, key []byte, err error) {
	rest, ok := strings.CutPrefix(text, fmt.Sprintf(hashFormat, argon2.Version, h.memory, argonTime, argonThreads))
	first, second, both := strings.Cut(rest, "$")
	if !ok || !both {
		return nil, nil, errors.New("a password hash is of an unknown form")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(first); err == nil {
		key, err = base64.RawStdEncoding.DecodeString(second)
	}
	if err != nil {
		return nil, nil, errors.New("a password hash is damaged")
	}
	return salt, key, nil
}

// checkPassword says why the user cannot have the password, or returns nil.
func checkPassword(user models.User, password string) error {
	wrong := func(message string) error {
		return models.Errorf(models.Invalid, "%s", message).WithField("password").
			WithRemedy("use %d to %d characters that nobody would guess: several random words are good", minPassword, maxPassword)
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return wrong("the password is not text")
	}
	if length := utf8.RuneCountInString(password); length < minPassword || length > maxPassword {
		return wrong(fmt.Sprintf("the password has to be %d to %d characters long", minPassword, maxPassword))
	}
	folded := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, letter := range folded {
		distinct[letter] = true
	}
	for common := range strings.Lines(commonPasswords) {
		if folded == strings.TrimSpace(common) || len(distinct) < minDistinct {
			return wrong("that password is among the first that anybody would try")
		}
	}
	if utf8.RuneCountInString(withoutOwn(user, folded)) < minOwnPassword {
		return wrong("the password is mostly your own name or address")
	}
	return nil
}

// withoutOwn removes what everybody knows of the user.
func withoutOwn(user models.User, folded string) string {
	if user.Email != nil {
		local, _, _ := strings.Cut(*user.Email, "@")
		folded = strings.NewReplacer(*user.Email, "", local, "").Replace(folded)
	}
	if user.Name == "" {
		return folded
	}
	return strings.ReplaceAll(folded, strings.ToLower(user.Name), "")
}
