package gitserver

import "github.com/skypanel/sky/gitserver/packfile"

// Limits bounds what one client may cost. A zero field means its default.
type Limits struct {
	// Pack bounds the pack of one push; see packfile.Limits for the defaults.
	Pack packfile.Limits
	// Updates is the number of ref updates in one push. Default 1,000.
	Updates int
	// Options and OptionBytes bound the push options: their number (default
	// 64) and the length of each (default 4,096).
	Options     int
	OptionBytes int
	// Shallows is the number of shallow lines a client may send. Default 10,000.
	Shallows int
	// Wants and Haves bound one fetch. Defaults 1,000 and 100,000.
	Wants int
	Haves int
	// MinRate is how many bytes a second a client must send, on average over a
	// minute, once it has begun to send its pack. Default 1,024.
	MinRate int64
	// DrainBytes is how much of a refused push is read so that the client gets
	// to see the reason. Default 64 MiB.
	DrainBytes int64
}

// withDefaults returns l with every zero field set.
func (l Limits) withDefaults() Limits {
	setDefault(&l.Updates, 1_000)
	setDefault(&l.Options, 64)
	setDefault(&l.OptionBytes, 4_096)
	setDefault(&l.Shallows, 10_000)
	setDefault(&l.Wants, 1_000)
	setDefault(&l.Haves, 100_000)
	setDefault(&l.MinRate, 1_024)
	setDefault(&l.DrainBytes, 64<<20)
	l.Pack = l.Pack.WithDefaults()
	return l
}

func setDefault[N int | int64](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}
