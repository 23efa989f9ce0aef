package gitserver

import (
	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/pktline"
)

const (
	agent               = "agent=sky"
	receiveCapabilities = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options object-format=sha1 " + agent
)

// advertiseReceive lists what the repository has: public refs by name, what is
// kept of failed pushes as ".have", so that a retry sends the difference only.
func (d *Door) advertiseReceive(x *exchange) error {
	all, err := d.Repositories.allRefs(x.app.ID)
	if err != nil {
		return err
	}
	list := newAdvertisement(x, receiveCapabilities)
	var kept []object.ID
	known := map[object.ID]bool{}
	for _, ref := range all {
		if hidden(ref.Name) {
			kept = append(kept, ref.ID)
			continue
		}
		known[ref.ID] = true
		list.add(ref.ID, ref.Name)
	}
	for _, id := range kept {
		if !known[id] {
			known[id] = true
			list.add(id, ".have")
		}
	}
	return list.send(x)
}

// advertisement is the ref list of protocols v0 and v1. The first line carries
// the capabilities; an empty list still needs one.
type advertisement struct {
	lines        []byte
	capabilities string
}

func newAdvertisement(x *exchange, capabilities string) *advertisement {
	list := &advertisement{capabilities: "\x00" + capabilities}
	if x.version() == 1 {
		list.lines = pktline.Append(nil, "version 1\n")
	}
	return list
}

func (a *advertisement) add(id object.ID, name string) {
	a.lines = pktline.Append(a.lines, "%s %s%s\n", id, name, a.capabilities)
	a.capabilities = ""
}

func (a *advertisement) send(x *exchange) error {
	if a.capabilities != "" {
		a.add(object.Zero, "capabilities^{}")
	}
	_, err := x.out.Write(pktline.AppendFlush(a.lines))
	return err
}
