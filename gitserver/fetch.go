package gitserver

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// fetchRequest is what a client wants and has, in any protocol version.
type fetchRequest struct {
	wants      []object.ID
	haves      []object.ID // those that we have too
	offered    int         // all of them
	shallow    map[object.ID]bool
	depth      int
	deepens    bool
	done       bool
	sideBand   bool
	ofsDelta   bool
	includeTag bool
	detailed   bool // multi_ack_detailed: an ACK for every common commit
}

func newFetchRequest() *fetchRequest { return &fetchRequest{shallow: map[object.ID]bool{}} }

func (r *fetchRequest) commonCommits() []object.ID { return r.haves }

var errProtocol = models.Errorf(models.Invalid, "protocol error: unexpected line")

// addLine takes one argument of a fetch. Words without a value that nobody
// here needs are ignored, as they must be.
func (u *uploading) addLine(r *fetchRequest, line string) error {
	word, value, _ := strings.Cut(line, " ")
	switch word {
	case "want":
		return u.addWant(r, value)
	case "have":
		return u.addHave(r, value)
	case "shallow":
		id, err := object.ParseID(value)
		if err != nil || len(r.shallow) >= u.limits.Shallows {
			return errProtocol
		}
		r.shallow[id] = true
	case "deepen":
		depth, err := strconv.Atoi(value)
		if err != nil || depth <= 0 {
			return errProtocol
		}
		r.depth, r.deepens = depth, true
	case "deepen-since", "deepen-not", "deepen-relative", "filter":
		return models.Errorf(models.Invalid, "%s is not supported", word)
	case "done":
		r.done = true
	default:
		r.addCapability(word)
	}
	return nil
}

// addCapability takes what a v0 or v1 client sends with its first want, and v2
// as arguments. Some send words that are arguments elsewhere: libgit2 "shallow".
func (r *fetchRequest) addCapability(word string) {
	switch word {
	case "ofs-delta":
		r.ofsDelta = true
	case "include-tag":
		r.includeTag = true
	case "side-band-64k":
		r.sideBand = true
	case "multi_ack_detailed":
		r.detailed = true
	}
}

// addWant accepts tips, and what the history of the tips holds: a ref may have
// moved since the client read it.
func (u *uploading) addWant(r *fetchRequest, hex string) error {
	id, err := object.ParseID(hex)
	if err != nil {
		return errProtocol
	}
	if len(r.wants) >= u.limits.Wants {
		return models.Errorf(models.TooLarge, "more than %d wants", u.limits.Wants)
	}
	if !u.tips[id] && !u.inHistory(id) {
		return models.Errorf(models.NotFound, "upload-pack: not our ref %s", id)
	}
	r.wants = append(r.wants, id)
	return nil
}

func (u *uploading) inHistory(id object.ID) bool {
	if !u.db.Has(id) {
		return false
	}
	var tips []object.ID
	for _, ref := range u.refs {
		target, _ := u.peel(ref.ID)
		if kind, _, err := u.db.Stat(target); err == nil && kind == object.Commit {
			tips = append(tips, target)
		}
	}
	found, err := reaches(u.ctx, u.db, tips, id)
	return err == nil && found
}

func (u *uploading) addHave(r *fetchRequest, hex string) error {
	id, err := object.ParseID(hex)
	if err != nil {
		return errProtocol
	}
	if r.offered++; r.offered > u.limits.Haves {
		return models.Errorf(models.TooLarge, "more than %d haves", u.limits.Haves)
	}
	if kind, _, err := u.db.Stat(id); err == nil && kind == object.Commit {
		r.haves = append(r.haves, id)
	}
	return nil
}

// readWants reads the first part of a v0 or v1 request. The first want carries
// the capabilities.
func (u *uploading) readWants() (*fetchRequest, error) {
	r := newFetchRequest()
	for {
		kind, line, err := u.packets.Next()
		if errors.Is(err, io.EOF) && len(r.wants) == 0 {
			return r, nil // the client has all it wanted to know
		}
		if err != nil {
			return nil, err
		}
		if kind == pktline.Flush {
			return r, nil
		}
		if want, ok := strings.CutPrefix(line, "want "); ok && len(r.wants) == 0 {
			id, capabilities, _ := strings.Cut(want, " ")
			for word := range parseCapabilities(capabilities) {
				r.addCapability(word)
			}
			line = "want " + id
		}
		if err := u.addLine(r, line); err != nil {
			return nil, err
		}
	}
}

// readHaves negotiates, as v0 and v1 do: rounds of haves that end in a flush,
// then "done". It returns false when a stateless client will ask again.
func (u *uploading) readHaves(r *fetchRequest) (done bool, err error) {
	for {
		known := len(r.haves)
		kind, line, err := u.packets.Next()
		if errors.Is(err, io.EOF) && u.stateless {
			return false, u.deliver() // it asked for the new boundary only
		}
		if err != nil {
			return false, err
		}
		if kind == pktline.Flush {
			u.answerRound(r)
			if u.stateless {
				return false, u.deliver()
			}
			if err := u.deliver(); err != nil {
				return false, err
			}
			continue
		}
		if err := u.addLine(r, line); err != nil {
			return false, err
		}
		if r.done {
			u.answerDone(r)
			return true, u.deliver()
		}
		if len(r.haves) > known {
			u.acknowledge(r, known == 0)
		}
	}
}

// acknowledge answers a have that is common: always with multi_ack_detailed,
// else only the first.
func (u *uploading) acknowledge(r *fetchRequest, first bool) {
	switch last := r.haves[len(r.haves)-1]; {
	case r.detailed:
		u.say("ACK %s common\n", last)
	case first:
		u.say("ACK %s\n", last)
	}
}

func (u *uploading) answerRound(r *fetchRequest) {
	if len(r.haves) > 0 && r.detailed { // one common commit is enough for us
		u.say("ACK %s ready\n", r.haves[len(r.haves)-1])
	}
	if len(r.haves) == 0 || r.detailed {
		u.say("NAK\n")
	}
}

func (u *uploading) answerDone(r *fetchRequest) {
	switch {
	case len(r.haves) == 0:
		u.say("NAK\n")
	case r.detailed:
		u.say("ACK %s\n", r.haves[len(r.haves)-1])
	}
}

// say puts a line aside until deliver.
func (u *uploading) say(format string, args ...any) {
	u.answer = pktline.Append(u.answer, format, args...)
}

// deliver sends what was said. Over HTTP the rest of the request is read first:
// once the answer begins, a Go server takes the request for read.
func (u *uploading) deliver() error {
	if u.stateless {
		if _, err := io.CopyN(io.Discard, u.in, u.limits.DrainBytes); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	_, err := u.out.Write(u.answer)
	u.answer = nil
	return err
}
