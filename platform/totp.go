package platform

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// The second factor is RFC 6238's, as authenticators take it: SHA-1, six digits,
// half a minute. A clock may be one step off.
const (
	totpPeriod    = 30
	totpSkew      = 1
	recoveryCodes = 10
	recoveryBytes = 10
)

// PendingTOTP is a second factor that counts once a code of it was shown.
type PendingTOTP struct {
	Secret string // for who cannot scan
	URL    string // otpauth://…
}

func totpPlace(user models.ID) place { return ofUser(user, "totp") }

// BeginTOTP makes a secret for an authenticator. It replaces one that was not
// confirmed.
func (p *Platform) BeginTOTP(ctx context.Context, actor models.Actor) (PendingTOTP, error) {
	user, err := p.self(ctx, actor, models.AccountManage)
	if err != nil {
		return PendingTOTP{}, err
	}
	if user.TOTPEnabled {
		return PendingTOTP{}, models.Errorf(models.Conflict, "two factors are on already").WithRemedy("turn them off first")
	}
	if user.PasswordHash == "" {
		return PendingTOTP{}, models.Errorf(models.Conflict, "a second factor needs a first: you have no password").WithRemedy("set one by your link")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Sky", AccountName: user.Name, Period: totpPeriod, Rand: rand.Reader})
	if err != nil {
		return PendingTOTP{}, fmt.Errorf("make a second factor: %w", err)
	}
	sealed, err := p.Vault.seal(totpPlace(user.ID), []byte(key.Secret()))
	if err != nil {
		return PendingTOTP{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "account.totp-begin"}, func(tx *store.Store) error {
		_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error {
			if row.TOTPEnabled {
				return models.Errorf(models.Conflict, "two factors are on already")
			}
			row.TOTPSecret, row.TOTPStep = sealed, 0
			return nil
		})
		return err
	})
	return PendingTOTP{Secret: key.Secret(), URL: key.URL()}, err
}

// ConfirmTOTP turns two factors on, by a code of the pending secret, and returns
// recovery codes, once. Other sessions end.
func (p *Platform) ConfirmTOTP(ctx context.Context, actor models.Actor, code string) ([]string, error) {
	user, err := p.self(ctx, actor, models.AccountManage)
	if err != nil {
		return nil, err
	}
	if user.TOTPEnabled || len(user.TOTPSecret) == 0 {
		return nil, models.Errorf(models.Conflict, "there is no second factor to confirm").WithRemedy("begin with POST /api/paas/account/totp")
	}
	codes, hashes := newRecoveryCodes()
	err = p.commit(ctx, actor, fact{kind: "account.totp-on"}, func(tx *store.Store) error {
		_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error {
			if err := p.takeCode(row, code); err != nil {
				return err
			}
			row.TOTPEnabled, row.RecoveryHashes = true, hashes
			return nil
		})
		if err != nil {
			return err
		}
		return tx.DeleteSessions(ctx, user.ID, actor.SessionID)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// EndTOTP turns two factors off, for who has both. Other sessions end.
func (p *Platform) EndTOTP(ctx context.Context, actor models.Actor, password, code string) error {
	user, err := p.self(ctx, actor, models.AccountManage)
	if err != nil {
		return err
	}
	if err := p.provePassword(ctx, actor, user, password, "password"); err != nil {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "account.totp-off"}, func(tx *store.Store) error {
		_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error {
			if !row.TOTPEnabled {
				return models.Errorf(models.Conflict, "two factors are off already")
			}
			if err := p.takeFactor(row, code); err != nil {
				return err
			}
			clearTOTP(row)
			return nil
		})
		if err != nil {
			return err
		}
		return tx.DeleteSessions(ctx, user.ID, actor.SessionID)
	})
}

func clearTOTP(row *models.User) {
	row.TOTPSecret, row.TOTPEnabled, row.TOTPStep, row.RecoveryHashes = nil, false, 0, nil
}

var errCode = models.Errorf(models.Unauthorized, "the code is wrong, or was used already").WithField("code").
	WithRemedy("wait for the next one; check that your clock is right")

// takeFactor takes a code or a recovery code of the user's, which is good no
// more then. The caller writes the row.
func (p *Platform) takeFactor(row *models.User, code string) error {
	if code == "" {
		return models.Errorf(models.Unauthorized, "a code of your authenticator is needed too").WithField("code").
			WithRemedy("pass its six digits, or one of your recovery codes, as code")
	}
	hash := hashRecovery(code)
	for i, kept := range row.RecoveryHashes {
		if bytes.Equal(kept, hash) {
			row.RecoveryHashes = slices.Delete(slices.Clone(row.RecoveryHashes), i, i+1)
			return nil
		}
	}
	return p.takeCode(row, code)
}

// takeCode takes a code of the user's secret. One is good for its step only, and
// neither it nor an earlier one is after that.
func (p *Platform) takeCode(row *models.User, code string) error {
	secret, err := p.Vault.open(totpPlace(row.ID), row.TOTPSecret)
	if err != nil {
		return fmt.Errorf("second factor of %s: %w", row.Name, err)
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	step := time.Now().Unix() / totpPeriod
	for at := step - totpSkew; at <= step+totpSkew; at++ {
		if at <= row.TOTPStep || at < 0 {
			continue
		}
		wanted, err := hotp.GenerateCodeCustom(string(secret), uint64(at), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return errors.New("a second factor's secret is damaged")
		}
		if subtle.ConstantTimeCompare([]byte(wanted), []byte(code)) == 1 {
			row.TOTPStep = at
			return nil
		}
	}
	return errCode
}

func newRecoveryCodes() (codes []string, hashes [][]byte) {
	for range recoveryCodes {
		random := make([]byte, recoveryBytes)
		_, _ = rand.Read(random)
		text := tokenEncoding.EncodeToString(random)
		codes = append(codes, text[:8]+"-"+text[8:])
		hashes = append(hashes, hashRecovery(text))
	}
	return codes, hashes
}

// hashRecovery hashes a recovery code however it was typed. Its 80 random bits
// need no slow hash.
func hashRecovery(code string) []byte {
	plain := strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(code))
	sum := sha256.Sum256([]byte("recovery " + plain))
	return sum[:]
}
