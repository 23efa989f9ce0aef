package gitserver

import (
	"log/slog"
	"time"
)

// Door is what both doors need. Repositories, Receiver and Log are required.
type Door struct {
	Repositories *Repositories
	Receiver     Receiver
	Limits       Limits
	Log          *slog.Logger
	// KeepAlive is how long the line may be silent before the client is sent
	// an empty packet. Zero means 5 s, as git's receive.keepAlive.
	KeepAlive time.Duration
}

const defaultKeepAlive = 5 * time.Second

func (d *Door) keepAlive() time.Duration {
	if d.KeepAlive > 0 {
		return d.KeepAlive
	}
	return defaultKeepAlive
}
