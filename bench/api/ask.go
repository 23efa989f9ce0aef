package main

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/models"
)

// asker asks one running Sky.
type asker struct {
	url, token string
	given      size
	apps       int
}

// row is what one kind of request took.
type row struct {
	what          string
	median, worst time.Duration // worst is the 99th percentile
}

const applications = "/api/paas/applications"

// all measures every kind of request.
func (a *asker) all(ctx context.Context, f *filler) ([]row, error) {
	member, err := f.token(ctx)
	if err != nil {
		return nil, err
	}
	middle, err := a.middle()
	if err != nil {
		return nil, err
	}
	if _, err := a.measure(ctx, a.token, steady(applications)); err != nil { // warms up; not counted
		return nil, err
	}
	var rows []row
	for _, kind := range []struct {
		what, token string
		path        func(random *rand.Rand) string
	}{
		{"get an app", a.token, func(random *rand.Rand) string { return applications + "/" + name(random.IntN(a.apps)) }},
		{"list 50", a.token, steady(applications + "?limit=50")},
		{"list 200", a.token, steady(applications + "?limit=200")},
		{"list 50 from the middle", a.token, steady(applications + "?limit=50&cursor=" + middle)},
		{"list 50, the newest first", a.token, steady(applications + "?limit=50&sort=-created_at")},
		{"list 50, changed last first", a.token, steady(applications + "?limit=50&sort=-updated_at")},
		{"list 50 of an organisation", a.token, steady(applications + "?limit=50&organisation=org-3")},
		{"list 50 as a member of one", member, steady(applications + "?limit=50")},
	} {
		measured, err := a.measure(ctx, kind.token, kind.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.what, err)
		}
		measured.what = kind.what
		rows = append(rows, measured)
	}
	return rows, nil
}

func steady(path string) func(*rand.Rand) string { return func(*rand.Rand) string { return path } }

// middle is a cursor half way through all apps.
func (a *asker) middle() (string, error) {
	text, err := json.Marshal(map[string]string{"s": "name", "v": name(a.apps / 2), "i": models.NewID().String()})
	return base64.RawURLEncoding.EncodeToString(text), err
}

// measure has all clients ask, each request after the other.
func (a *asker) measure(ctx context.Context, token string, path func(*rand.Rand) string) (row, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: a.given.clients}}
	defer client.CloseIdleConnections()
	took := make([][]time.Duration, a.given.clients)
	failures := make([]error, a.given.clients)
	var group sync.WaitGroup
	for number := range a.given.clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(number)))
			for range a.given.requests {
				began := time.Now()
				if failures[number] = a.ask(ctx, client, token, path(random)); failures[number] != nil {
					return
				}
				took[number] = append(took[number], time.Since(began))
			}
		})
	}
	group.Wait()
	var all []time.Duration
	for number := range took {
		if failures[number] != nil {
			return row{}, failures[number]
		}
		all = append(all, took[number]...)
	}
	return row{median: lab.Quantile(all, 0.5), worst: lab.Quantile(all, 0.99)}, nil
}

func (a *asker) ask(ctx context.Context, client *http.Client, token, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, response.Status, text)
	}
	return err
}

// token makes somebody who is a member of one organisation, once, and returns an
// API token of theirs.
func (f *filler) token(ctx context.Context) (string, error) {
	if f.member != "" {
		return f.member, nil
	}
	organisation, err := f.database.OrganisationByName(ctx, "org-3")
	if err != nil {
		return "", err
	}
	user := models.User{ID: models.NewID(), Name: "member"}
	if err := f.database.CreateUser(ctx, &user); err != nil {
		return "", err
	}
	joined := models.Membership{ID: models.NewID(), OrganisationID: organisation.ID, UserID: user.ID, Role: models.RoleDeveloper}
	if err := f.database.CreateMembership(ctx, &joined); err != nil {
		return "", err
	}
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	random := encoding.EncodeToString(user.ID[:])
	text := "sky_pat_" + random + encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(random))))
	hash := sha256.Sum256([]byte(text))
	token := models.Token{ID: models.NewID(), UserID: user.ID, Name: "bench", Hash: hash[:], Scopes: models.AllScopes()}
	f.member = text
	return text, f.database.CreateToken(ctx, &token)
}
