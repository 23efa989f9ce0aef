package store

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Leadership is held until it is lost or given up.
type Leadership struct {
	candidate *Candidate
	pid       atomic.Uint32 // of the session that holds the lock
	stop      context.CancelFunc
	done      chan struct{}
	lost      chan struct{}
	once      sync.Once
}

func newLeadership(c *Candidate, conn *pgx.Conn) *Leadership {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Leadership{candidate: c, stop: cancel, done: make(chan struct{}), lost: make(chan struct{})}
	l.pid.Store(conn.PgConn().PID())
	go l.hold(ctx, conn)
	return l
}

// Lost is closed when another may lead. What this one does from then on, the
// database refuses.
func (l *Leadership) Lost() <-chan struct{} { return l.lost }

// Close gives the lead up. The Stores that were opened with it are closed before.
func (l *Leadership) Close() error {
	l.once.Do(l.stop)
	<-l.done
	return nil
}

// Open opens a Store as OpenPostgres does, whose sessions last no longer than the
// lead.
func (l *Leadership) Open(ctx context.Context) (*Store, error) {
	config, err := parsePostgres(l.candidate.Database)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = followerName + strconv.FormatUint(uint64(l.pid.Load()), 10)
	begin := func(ctx context.Context, conn *pgx.Conn) error {
		return errors.Join(scanTimesAsUTC(ctx, conn), l.admit(ctx, conn))
	}
	return open(ctx, enginePostgres, pooled(config, begin), nil)
}

// admit refuses a new session of a Store once another leads. A session that is let
// in just before that is among those which the next leader ends.
func (l *Leadership) admit(ctx context.Context, conn *pgx.Conn) error {
	var leads bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (`+holder+` AND activity.pid = $2)`, int64(leaderKey), int64(l.pid.Load())).Scan(&leads)
	if err == nil && !leads {
		err = ErrLed
	}
	return err
}

// hold shows others that this one lives, for as long as it does.
func (l *Leadership) hold(ctx context.Context, conn *pgx.Conn) {
	defer close(l.done)
	defer func() { _ = hangUp(conn) }()
	ticker := time.NewTicker(electEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := beat(ctx, conn)
		if err != nil && ctx.Err() == nil && l.candidate.Address == "" {
			_ = hangUp(conn)
			conn, err = l.regain(ctx, conn)
		}
		if err != nil && ctx.Err() == nil {
			l.candidate.Log.Error("the lead is lost", "error", err)
			close(l.lost)
			return
		}
	}
}

func beat(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, leaderGivesUp)
	defer cancel()
	_, err := conn.Exec(ctx, `SELECT 1`)
	return err
}

// regain takes the lead up again after a broken session. Nobody waits for it; but who
// began to lead meanwhile keeps it.
func (l *Leadership) regain(ctx context.Context, broken *pgx.Conn) (*pgx.Conn, error) {
	l.candidate.Log.Warn("the database does not answer")
	for {
		conn, err := l.candidate.connect(ctx)
		if err == nil {
			won, err := l.candidate.try(ctx, conn)
			if won && err == nil {
				l.pid.Store(conn.PgConn().PID())
				return conn, nil
			}
			_ = hangUp(conn)
			if err == nil {
				return broken, ErrLed
			}
		}
		select {
		case <-ctx.Done():
			return broken, ctx.Err()
		case <-time.After(electEvery):
		}
	}
}
