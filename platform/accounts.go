package platform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"golang.org/x/crypto/ssh"
)

const (
	// viaKey begins an Actor's proof when it was an SSH key.
	viaKey = "key "
	// minRSABits is the least that an RSA key may have.
	minRSABits = 2048
	maxKeyText = 16 << 10
)

// EnsureAdmin makes the first user on the first start and writes the token to
// tokenFile, which only its owner may read. Later it does nothing.
func (p *Platform) EnsureAdmin(ctx context.Context, tokenFile string) error {
	exists, err := p.Store.HasUsers(ctx)
	if err != nil || exists {
		return err
	}
	admin := models.User{ID: models.NewID(), Name: "admin", Admin: true, CreatedAt: now()}
	home := models.Organisation{ID: models.NewID(), Name: admin.Name, CreatedAt: now()}
	text := newToken()
	token := models.Token{
		ID: models.NewID(), UserID: admin.ID, Name: "first start", Hash: hashToken(text), Scopes: models.AllScopes(), CreatedAt: now(),
	}
	// The file comes first: a token that nobody has read is lost for ever, while
	// one without its row is refused and made again by the next start.
	if err := writeSecret(tokenFile, []byte(text+"\n")); err != nil {
		return err
	}
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		if err := tx.CreateUser(ctx, &admin); err != nil {
			return err
		}
		if err := tx.CreateOrganisation(ctx, &home, admin.ID); err != nil {
			return err
		}
		return tx.CreateToken(ctx, &token)
	})
}

// ActorByKey returns the owner of the SSH key with this fingerprint.
func (p *Platform) ActorByKey(ctx context.Context, fingerprint string) (models.Actor, error) {
	key, err := p.Store.KeyByFingerprint(ctx, fingerprint)
	if models.IsCode(err, models.NotFound) {
		return models.Actor{}, models.Errorf(models.Unauthorized, "the SSH key %s is not known to Sky", fingerprint).
			WithRemedy("add it with `sky keys add ~/.ssh/id_ed25519.pub`")
	}
	if err != nil {
		return models.Actor{}, err
	}
	actor, err := p.actor(ctx, key.UserID, viaKey+fingerprint)
	actor.Scopes = models.AllScopes()
	return actor, err
}

func (p *Platform) actor(ctx context.Context, user models.ID, via string) (models.Actor, error) {
	found, err := p.Store.User(ctx, user)
	if models.IsCode(err, models.NotFound) {
		return models.Actor{}, models.Errorf(models.Unauthorized, "the account is gone").WithRemedy("ask an admin of the platform")
	}
	if err != nil {
		return models.Actor{}, err
	}
	if found.Disabled {
		return models.Actor{}, disabled(found)
	}
	return models.Actor{UserID: found.ID, Name: found.Name, Admin: found.Admin, Via: via}, nil
}

func disabled(user models.User) error {
	return models.Errorf(models.Unauthorized, "the account %s is disabled", user.Name).WithRemedy("ask an admin of the platform")
}

// AddKey lets an SSH public key push for actor. text is one line as ssh-keygen
// writes it into a .pub file; an empty name takes the line's comment.
func (p *Platform) AddKey(ctx context.Context, actor models.Actor, name, text string) (models.Key, error) {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return models.Key{}, err
	}
	parsed, comment, err := parseKey(text)
	if err != nil {
		return models.Key{}, err
	}
	if name == "" {
		name = comment
	}
	if name = strings.TrimSpace(narrative.Clean(name)); name == "" || len(name) > 100 {
		name = "key-" + models.NewID().String()[28:] // its random end
	}
	key := models.Key{
		ID: models.NewID(), UserID: actor.UserID, Name: name, Fingerprint: ssh.FingerprintSHA256(parsed),
		PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed))), CreatedAt: now(),
	}
	err = p.commit(ctx, actor, fact{kind: "key.add", detail: key.Fingerprint}, func(tx *store.Store) error {
		return tx.CreateKey(ctx, &key)
	})
	if models.IsCode(err, models.Conflict) {
		return models.Key{}, models.Errorf(models.Conflict, "the key %s, or a key named %q, was added already", key.Fingerprint, name).
			WithField("public_key").WithRemedy("`sky keys list` shows your keys; a key belongs to one user only")
	}
	return key, err
}

func parseKey(text string) (ssh.PublicKey, string, error) {
	wrong := func(format string, args ...any) error {
		return models.Errorf(models.Invalid, "%s", fmt.Sprintf(format, args...)).WithField("public_key").
			WithRemedy("pass one public key, such as the file ~/.ssh/id_ed25519.pub")
	}
	if strings.Contains(text, "PRIVATE KEY") {
		return nil, "", wrong("that is a private key: keep it to yourself")
	}
	if len(text) > maxKeyText {
		return nil, "", wrong("the text is too long for a public key")
	}
	key, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil:
		return nil, "", wrong("that is not an SSH public key")
	case len(options) > 0:
		return nil, "", wrong("a key with options is not accepted")
	case strings.TrimSpace(string(rest)) != "":
		return nil, "", wrong("one key at a time")
	}
	if err := strongEnough(key); err != nil {
		return nil, "", wrong("%s", err)
	}
	return key, comment, nil
}

func strongEnough(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		if bits := rsaBits(key); bits < minRSABits {
			return fmt.Errorf("an RSA key of %d bits is too weak", bits)
		}
		return nil
	default:
		return fmt.Errorf("keys of type %s are not accepted", key.Type())
	}
}

// Keys lists actor's SSH keys.
func (p *Platform) Keys(ctx context.Context, actor models.Actor) ([]models.Key, error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return nil, err
	}
	return p.Store.Keys(ctx, actor.UserID)
}

// RemoveKey removes actor's key of this name or fingerprint.
func (p *Platform) RemoveKey(ctx context.Context, actor models.Actor, name string) error {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "key.remove", detail: narrative.Clean(name)}, func(tx *store.Store) error {
		return tx.DeleteKey(ctx, actor.UserID, name)
	})
}

// TokenFile is where the first start leaves the admin's token.
func TokenFile(dataDir string) string { return filepath.Join(dataDir, "admin-token") }

// ReadTokenFile returns the token in a file that EnsureAdmin wrote.
func ReadTokenFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
