package gitserver

import (
	"context"
	"net"

	gossh "golang.org/x/crypto/ssh"
)

// SSH is the git door on ssh://git@host/APP.git. Public keys are its only
// proof of identity; exec of git-receive-pack and git-upload-pack is all it
// does.
type SSH struct {
	Door
	// HostKeys prove the server; see LoadHostKeys.
	HostKeys []gossh.Signer
	// MaxConns and MaxConnsPerAddr bound the open connections. Defaults 1,000
	// and 100.
	MaxConns        int
	MaxConnsPerAddr int
}

// LoadHostKeys reads the server's ed25519 and RSA keys from dir, and makes
// those that are missing, readable by their owner only.
func LoadHostKeys(dir string) ([]gossh.Signer, error) { panic("unwritten") }

// Serve accepts connections from listener until Shutdown, and returns when
// every session has ended: nil after Shutdown, else why it stopped.
func (s *SSH) Serve(listener net.Listener) error { panic("unwritten") }

// Shutdown stops accepting and blocks until all sessions have ended. When ctx
// ends first, it cuts them off and returns ctx's error.
func (s *SSH) Shutdown(ctx context.Context) error { panic("unwritten") }
