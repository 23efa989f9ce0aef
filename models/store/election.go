package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// leaderKey is the advisory lock of the database that the leader holds: "sky"
	// and a number, so that it meets nobody else's by chance.
	leaderKey = 0x736b79_00000001
	// electEvery is how often a candidate asks for the lock, and how often the
	// leader shows that it lives.
	electEvery = time.Second
	// electPatience bounds one question to the database.
	electPatience = 5 * time.Second
	// LeaderSilence is how long the leader may say nothing before it counts as
	// hung; it gives up by itself a little earlier.
	LeaderSilence = 15 * time.Second
	leaderGivesUp = LeaderSilence - electPatience
	// The names of sessions, as pg_stat_activity shows them. The leader's own name
	// holds its address, and that of its other sessions its backend's number.
	leaderName, candidateName, followerName = "sky leader ", "sky candidate ", "sky of "
	// MaxAddress is how long a Candidate's address may be: PostgreSQL cuts names
	// of sessions at 63 bytes.
	MaxAddress = 63 - len(candidateName)
)

// Candidate is a control plane that would lead. Of those of one PostgreSQL
// database one leads at a time: it holds an advisory lock for as long as its
// session lasts, and no session of a former leader outlives the next one's
// beginning. So what the leader knows in memory stays true, and what a former one
// still wants to write is refused by the database itself.
type Candidate struct {
	// Database is PostgreSQL's URL. A pooler between must keep sessions.
	Database string
	// Address is where other control planes reach this one while it leads. Without
	// one it never waits behind another, and takes the lead up again when its session
	// with the database broke.
	Address string
	Log     *slog.Logger

	leader atomic.Value // string
}

// ErrLed says that another control plane leads the database.
var ErrLed = errors.New("another control plane uses this database")

// Leader is the address of who leads, as last seen while this one waits; empty
// when nobody does.
func (c *Candidate) Leader() string {
	address, _ := c.leader.Load().(string)
	return address
}

// Lead becomes the leader, or fails with ErrLed where there is one.
func (c *Candidate) Lead(ctx context.Context) (*Leadership, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	won, err := c.try(ctx, conn)
	if err == nil && !won {
		err = fmt.Errorf("%w, at %q", ErrLed, c.Leader())
	}
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	return newLeadership(c, conn), nil
}

// Await blocks until this one leads, or ctx ends. A database that does not answer
// is asked again.
func (c *Candidate) Await(ctx context.Context) (*Leadership, error) {
	ticker := time.NewTicker(electEvery)
	defer ticker.Stop()
	var conn *pgx.Conn
	for {
		var won bool
		var err error
		if conn == nil {
			conn, err = c.connect(ctx)
		}
		if err == nil {
			won, err = c.try(ctx, conn)
		}
		if won {
			return newLeadership(c, conn), nil
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("election", "error", err)
		}
		if err != nil && conn != nil {
			_ = hangUp(conn)
			conn = nil
		}
		select {
		case <-ctx.Done():
			if conn != nil {
				_ = hangUp(conn)
			}
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

func (c *Candidate) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := parsePostgres(c.Database)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = candidateName + c.Address
	ctx, cancel := context.WithTimeout(ctx, electPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// try takes the lock if it is free. If it is not, it ends the session of a leader
// that hangs, and notes who leads.
func (c *Candidate) try(ctx context.Context, conn *pgx.Conn) (won bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, electPatience)
	defer cancel()
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(leaderKey)).Scan(&won); err != nil {
		return false, fmt.Errorf("ask for the lead: %w", err)
	}
	if !won {
		return false, c.look(ctx, conn)
	}
	c.leader.Store(c.Address)
	return true, c.fence(ctx, conn)
}

// holder selects the session that leads: the lock's key is in two halves (PostgreSQL
// 15, section 54.12).
const holder = `SELECT activity.pid FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
	WHERE held.locktype = 'advisory' AND held.granted AND held.classid::bigint = $1::bigint >> 32
	AND held.objid::bigint = $1::bigint & 4294967295 AND held.objsubid = 1
	AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func (c *Candidate) look(ctx context.Context, conn *pgx.Conn) error {
	var name string
	var hangs bool
	err := conn.QueryRow(ctx, `SELECT application_name, query_start < now() - $2::interval FROM pg_stat_activity WHERE pid IN (`+holder+`)`,
		int64(leaderKey), LeaderSilence).Scan(&name, &hangs)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // it went meanwhile
	}
	if err != nil {
		return fmt.Errorf("see who leads: %w", err)
	}
	address, leads := strings.CutPrefix(name, leaderName)
	if !leads {
		address = ""
	}
	c.leader.Store(address)
	if !hangs {
		return nil
	}
	c.Log.Warn("the leader hangs: its session is ended", "leader", address)
	_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM (`+holder+`) AS leader`, int64(leaderKey))
	return err
}

// fence ends what former leaders' sessions are left, and blocks until they have ended.
func (c *Candidate) fence(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity
		WHERE datname = current_database() AND starts_with(application_name, $2)`, electPatience.Milliseconds(), followerName)
	if err == nil {
		_, err = conn.Exec(ctx, `SELECT set_config('application_name', $1, false)`, leaderName+c.Address)
	}
	if err != nil {
		return fmt.Errorf("fence the former leader off: %w", err)
	}
	return nil
}

func hangUp(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), electPatience)
	defer cancel()
	return conn.Close(ctx)
}
