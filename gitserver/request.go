package gitserver

import (
	"fmt"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// pushRequest is what a client sends before its pack.
type pushRequest struct {
	capabilities map[string]string
	shallow      map[object.ID]bool
	updates      []*models.RefUpdate
	options      []string
}

// readPush reads a request, as gitprotocol-pack's update-requests. A request
// without updates is a client that has nothing to push. Errors are meant for
// the client.
func readPush(packets *pktline.Reader, limits Limits) (*pushRequest, error) {
	request := &pushRequest{capabilities: map[string]string{}, shallow: map[object.ID]bool{}}
	for {
		kind, line, err := packets.Next()
		if err != nil {
			return nil, err
		}
		if kind == pktline.Flush {
			break
		}
		if err := request.addLine(line, limits); err != nil {
			return nil, err
		}
	}
	if len(request.updates) > 0 && request.has("push-options") {
		return request, request.readOptions(packets, limits)
	}
	return request, nil
}

func (r *pushRequest) addLine(line string, limits Limits) error {
	if hex, ok := strings.CutPrefix(line, "shallow "); ok {
		return r.addShallow(hex, limits)
	}
	if strings.HasPrefix(line, "push-cert") {
		return models.Errorf(models.Invalid, "signed pushes are not supported")
	}
	if len(r.updates) >= limits.Updates {
		return models.Errorf(models.TooLarge, "more than %d ref updates in one push", limits.Updates)
	}
	line, capabilities, found := strings.Cut(line, "\x00")
	if found && len(r.updates) == 0 {
		r.capabilities = parseCapabilities(capabilities)
		if format := r.capabilities["object-format"]; format != "" && format != "sha1" {
			return models.Errorf(models.Invalid, "object format %.20q is not supported, this server uses sha1", format)
		}
	}
	return r.addUpdate(line)
}

// addUpdate parses "old SP new SP ref".
func (r *pushRequest) addUpdate(line string) error {
	oldHex, rest, _ := strings.Cut(line, " ")
	newHex, name, _ := strings.Cut(rest, " ")
	before, oldErr := object.ParseID(oldHex)
	after, newErr := object.ParseID(newHex)
	if oldErr != nil || newErr != nil || name == "" {
		return models.Errorf(models.Invalid, "protocol error: expected old, new and ref")
	}
	r.updates = append(r.updates, &models.RefUpdate{Name: name, Old: before.String(), New: after.String()})
	return nil
}

func (r *pushRequest) addShallow(hex string, limits Limits) error {
	id, err := object.ParseID(hex)
	if err != nil {
		return models.Errorf(models.Invalid, "protocol error: bad shallow line")
	}
	if len(r.shallow) >= limits.Shallows {
		return models.Errorf(models.TooLarge, "more than %d shallow commits", limits.Shallows)
	}
	r.shallow[id] = true
	return nil
}

func (r *pushRequest) readOptions(packets *pktline.Reader, limits Limits) error {
	for {
		kind, option, err := packets.Next()
		if err != nil {
			return fmt.Errorf("read push options: %w", err)
		}
		if kind == pktline.Flush {
			return nil
		}
		if len(r.options) >= limits.Options || len(option) > limits.OptionBytes {
			return models.Errorf(models.TooLarge, "more than %d push options, or one of more than %d bytes", limits.Options, limits.OptionBytes)
		}
		r.options = append(r.options, option)
	}
}

func parseCapabilities(list string) map[string]string {
	capabilities := map[string]string{}
	for _, word := range strings.Fields(list) {
		name, value, _ := strings.Cut(word, "=")
		capabilities[name] = value
	}
	return capabilities
}

func (r *pushRequest) has(capability string) bool {
	_, ok := r.capabilities[capability]
	return ok
}

func (r *pushRequest) atomic() bool { return r.has("atomic") }

// needsPack reports whether a pack follows: it does unless all updates delete.
func (r *pushRequest) needsPack() bool {
	for _, update := range r.updates {
		if !update.Delete() {
			return true
		}
	}
	return false
}

// refused reports whether any update has been.
func (r *pushRequest) refused() bool {
	for _, update := range r.updates {
		if update.Err != nil {
			return true
		}
	}
	return false
}

// settled reports whether nothing is left to decide.
func (r *pushRequest) settled() bool {
	for _, update := range r.updates {
		if update.Err == nil {
			return false
		}
	}
	return true
}
