package gitserver

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/models"
)

// SSH is the git door on ssh://git@host/APP.git. Public keys are its only
// proof of identity; exec of git-receive-pack and git-upload-pack is all it
// does. Forwarding, agents, ptys, subsystems and other users are refused.
type SSH struct {
	Door
	// HostKeys prove the server; see LoadHostKeys.
	HostKeys []gossh.Signer
	// MaxConns and MaxConnsPerAddr bound the open connections. Defaults 1,000
	// and 100.
	MaxConns        int
	MaxConnsPerAddr int
	// HandshakeTimeout is how long a client may take to prove who it is.
	// Default 15 s.
	HandshakeTimeout time.Duration

	once     sync.Once
	server   *ssh.Server
	gate     *gate
	stopped  chan struct{} // closed when Shutdown is over
	stopping sync.Once
}

const (
	sshUser         = "git"
	sshVersion      = "Sky"
	sshAuthTries    = 6
	sshIdleTimeout  = 10 * time.Minute
	fingerprintName = "sky-fingerprint"
)

// Serve accepts connections from listener until Shutdown, and returns when
// every session has ended: nil after Shutdown, else why it stopped.
func (s *SSH) Serve(listener net.Listener) error {
	s.once.Do(s.prepare)
	err := s.server.Serve(listener)
	if errors.Is(err, ssh.ErrServerClosed) {
		<-s.stopped // gliderlabs returns as the shutdown begins
		return nil
	}
	return err
}

// Shutdown stops accepting and blocks until all sessions have ended. When ctx
// ends first, it cuts them off and returns ctx's error.
func (s *SSH) Shutdown(ctx context.Context) error {
	s.once.Do(s.prepare)
	var err error
	s.stopping.Do(func() {
		defer close(s.stopped)
		idle := s.gate.close()
		stopAccepting, cancel := context.WithCancel(ctx)
		cancel()
		_ = s.server.Shutdown(stopAccepting) // closes the listeners; waiting is ours
		select {
		case <-idle:
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.gate.cut()
		<-idle
	})
	<-s.stopped
	return err
}

func (s *SSH) prepare() {
	s.stopped = make(chan struct{})
	s.gate = newGate(orDefault(s.MaxConns, 1_000), orDefault(s.MaxConnsPerAddr, 100))
	s.server = &ssh.Server{
		Version:              sshVersion,
		HostSigners:          s.signers(),
		IdleTimeout:          sshIdleTimeout,
		ConnCallback:         s.admit,
		PublicKeyHandler:     s.knowsKey,
		ServerConfigCallback: s.config,
		RequestHandlers:      map[string]ssh.RequestHandler{},
		ChannelHandlers:      map[string]ssh.ChannelHandler{"session": s.handleChannel},
	}
}

func (s *SSH) signers() []ssh.Signer {
	signers := make([]ssh.Signer, len(s.HostKeys))
	for i, key := range s.HostKeys {
		signers[i] = key
	}
	return signers
}

// knowsKey says whether a key would do. Clients may ask that of keys that they
// cannot sign with, so nothing is remembered here.
func (s *SSH) knowsKey(ctx ssh.Context, key ssh.PublicKey) bool {
	if ctx.User() != sshUser {
		return false
	}
	_, err := s.Receiver.ActorByKey(ctx, gossh.FingerprintSHA256(key))
	if err != nil && !models.IsCode(err, models.Unauthorized) {
		s.Log.Error("look up ssh key", "error", err)
	}
	return err == nil
}

// config remembers the key that a signature proved, and only that one.
func (s *SSH) config(ssh.Context) *gossh.ServerConfig {
	return &gossh.ServerConfig{
		MaxAuthTries: sshAuthTries,
		VerifiedPublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			return &gossh.Permissions{Extensions: map[string]string{fingerprintName: gossh.FingerprintSHA256(key)}}, nil
		},
	}
}

// admit bounds connections and the time of their handshake.
func (s *SSH) admit(ctx ssh.Context, raw net.Conn) net.Conn {
	conn := s.gate.enter(raw)
	if conn == nil {
		s.Log.Warn("too many ssh connections", "address", raw.RemoteAddr())
		return nil
	}
	setUserTimeout(raw)
	timeout := s.HandshakeTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	conn.expire(timeout)
	ctx.SetValue(gateKey{}, conn)
	return conn
}

type gateKey struct{}

func orDefault(value, standard int) int {
	if value == 0 {
		return standard
	}
	return value
}
