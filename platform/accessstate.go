package platform

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/internal/ratelimit"
	"github.com/skypanel/sky/models"
)

// Attempts to prove a password: some at once, then slowly. An address is let try
// more often than an account, because offices share one.
const (
	attempts        = 10
	accountInterval = 30 * time.Second
	addressInterval = 6 * time.Second
	maxLimited      = 50_000
)

// accessState is what the doors remember between requests. It is made at its
// first use, because some of it is costly.
type accessState struct {
	once      sync.Once
	since     time.Time // of this process
	hasher    *hasher
	flights   flights
	accounts  *ratelimit.Keyed
	addresses *ratelimit.Keyed
}

func (p *Platform) access() *accessState {
	p.doors.once.Do(func() {
		p.doors.since = now()
		p.doors.hasher = newHasher(argonMemory)
		p.doors.accounts = ratelimit.New(accountInterval, attempts, maxLimited)
		p.doors.addresses = ratelimit.New(addressInterval, attempts, maxLimited)
	})
	return &p.doors
}

// attempt refuses one attempt too many to prove a password of the account, or
// from the address. An empty one is not counted.
func (a *accessState) attempt(account, address string) error {
	if address != "" {
		if wait := a.addresses.Take(network(address)); wait > 0 {
			return models.Wait(wait, "too many attempts to log in from your address")
		}
	}
	if wait := a.accounts.Take(accountKey(account)); wait > 0 {
		return models.Wait(wait, "too many attempts to log in to this account")
	}
	return nil
}

// accountKey is as long for every account, however long a name somebody made up.
func accountKey(account string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(account)))
	return string(sum[:])
}

// network is the part of an address that is one customer's: all of IPv4, the
// first half of IPv6.
func network(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if parsed = parsed.Unmap().WithZone(""); parsed.Is6() {
		prefix, _ := parsed.Prefix(64)
		return prefix.String()
	}
	return parsed.String()
}
