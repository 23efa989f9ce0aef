package platform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/skypanel/sky/models"
)

const (
	idempotencyLife   = 24 * time.Hour
	maxIdempotencyKey = 255
	// longestRequest is longer than any request works.
	longestRequest = 10 * time.Minute
	// lowestFailure is the first status of Sky's own failures (RFC 9110, section
	// 15.6): those are not kept, so that a repetition tries again.
	lowestFailure = 500
	keyField      = "Idempotency-Key"
)

// Request is what Once does at most once.
type Request struct {
	Key    string
	Method string
	Target string // path and query
	Body   []byte
}

// Answer is what a request was answered with. Header holds what matters of its
// headers.
type Answer struct {
	Status      int
	ContentType string            `json:"-"`
	Header      map[string]string `json:"header,omitempty"`
	Body        []byte            `json:"body,omitempty"`
	// Replayed says that it was answered before.
	Replayed bool `json:"-"`
}

// hash covers what the answer depends on, and what the one who asks may do: a
// weaker token of the same user does not get what a stronger one was answered.
func (r Request) hash(actor models.Actor) []byte {
	sum := sha256.New()
	organisation := ""
	if actor.OrganisationID != nil {
		organisation = actor.OrganisationID.String()
	}
	for _, part := range []string{r.Method, r.Target, actor.Scopes.Text(), organisation, string(r.Body)} {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		sum.Write([]byte(part))
	}
	return sum.Sum(nil)
}

func (r Request) check() error {
	for _, letter := range []byte(r.Key) {
		if letter < ' ' || letter > '~' {
			return models.Errorf(models.Invalid, "the key holds what cannot be printed").WithField(keyField).WithRemedy("use a random UUID")
		}
	}
	if r.Key == "" || len(r.Key) > maxIdempotencyKey {
		return models.Errorf(models.Invalid, "the key has to be 1 to %d characters long", maxIdempotencyKey).WithField(keyField).
			WithRemedy("use a random UUID")
	}
	return nil
}

// Once answers the request with what do answers. A repetition within a day gets
// the first answer and does nothing; while the first is at work, it waits for
// that. The same key for another request is Invalid. Of one that a crash cut off
// nobody knows what it did: that is a Conflict.
func (p *Platform) Once(ctx context.Context, actor models.Actor, request Request, do func() Answer) (Answer, error) {
	if err := request.check(); err != nil {
		return Answer{}, err
	}
	leave, err := p.access().flights.enter(ctx, actor.UserID.String()+" "+request.Key)
	if err != nil {
		return Answer{}, models.Errorf(models.Conflict, "the first request with this key is still at work").WithField(keyField).
			WithRemedy("repeat the request in a while")
	}
	defer leave()
	at := now()
	row := models.IdempotencyKey{
		ID: models.NewID(), UserID: actor.UserID, Key: request.Key, RequestHash: request.hash(actor),
		ExpiresAt: at.Add(idempotencyLife), CreatedAt: at,
	}
	for {
		err := p.Store.CreateIdempotencyKey(ctx, &row)
		if err == nil {
			return p.answerOnce(context.WithoutCancel(ctx), row, do), nil
		}
		if !models.IsCode(err, models.Conflict) {
			return Answer{}, err
		}
		former, err := p.Store.IdempotencyKey(ctx, actor.UserID, request.Key)
		if err == nil && former.ExpiresAt.After(at) {
			return p.replay(former, row)
		}
		if err == nil {
			err = p.Store.DeleteIdempotencyKey(ctx, former.ID)
		}
		if err != nil && !models.IsCode(err, models.NotFound) {
			return Answer{}, err
		}
	}
}

// answerOnce does the request and keeps its answer.
func (p *Platform) answerOnce(ctx context.Context, row models.IdempotencyKey, do func() Answer) Answer {
	answer := Answer{Status: lowestFailure}
	defer func() { // also when do panics
		var err error
		if answer.Status >= lowestFailure {
			err = p.Store.DeleteIdempotencyKey(ctx, row.ID)
		} else {
			err = p.keepAnswer(ctx, row, answer)
		}
		if err != nil {
			p.Log.Error("idempotency", "error", err)
		}
	}()
	answer = do()
	return answer
}

func answerPlace(row models.IdempotencyKey) place {
	return ofUser(row.UserID, "answer "+row.ID.String())
}

func (p *Platform) keepAnswer(ctx context.Context, row models.IdempotencyKey, answer Answer) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if row.Answer, err = p.Vault.seal(answerPlace(row), text); err != nil {
		return err
	}
	row.Status, row.ContentType = answer.Status, answer.ContentType
	return p.Store.FinishIdempotencyKey(ctx, row)
}

// replay returns the answer that former holds, if wanted is the same request.
func (p *Platform) replay(former, wanted models.IdempotencyKey) (Answer, error) {
	if !bytes.Equal(former.RequestHash, wanted.RequestHash) {
		return Answer{}, models.Errorf(models.Invalid, "the key was used for another request").WithField(keyField).
			WithRemedy("use a fresh key for each request, and the same only to repeat one")
	}
	if former.Status == 0 {
		return Answer{}, p.unfinished(former)
	}
	text, err := p.Vault.open(answerPlace(former), former.Answer)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{}
	if err := json.Unmarshal(text, &answer); err != nil {
		return Answer{}, fmt.Errorf("decode answer: %w", err)
	}
	answer.Status, answer.ContentType, answer.Replayed = former.Status, former.ContentType, true
	return answer, nil
}

// unfinished tells a request that another process works on from one that was cut
// off.
func (p *Platform) unfinished(former models.IdempotencyKey) error {
	if !former.CreatedAt.Before(p.access().since) && now().Sub(former.CreatedAt) < longestRequest {
		return models.Errorf(models.Conflict, "the first request with this key is still at work").WithField(keyField).
			WithRemedy("repeat the request in a while")
	}
	return models.Errorf(models.Conflict, "the first request with this key was cut off: whether it did its work is not known").
		WithField(keyField).WithRemedy("look whether what it makes is there; if not, repeat it with a fresh key")
}

// flights lets one at a time through for each key. Its zero value is ready.
type flights struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// enter waits for the key's turn; leave ends it.
func (f *flights) enter(ctx context.Context, key string) (leave func(), err error) {
	for {
		f.mu.Lock()
		ahead, busy := f.busy[key]
		if !busy {
			if f.busy == nil {
				f.busy = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			f.busy[key] = done
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				delete(f.busy, key)
				close(done)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-ahead:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// purgeAccess removes what nobody needs any more.
func (p *Platform) purgeAccess(ctx context.Context, at time.Time) error {
	return p.Store.PurgeAccess(ctx, at, at.Add(-spentLife))
}
