package gitserver

import (
	"errors"

	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// report tells the client the verdicts, as report-status: an "unpack" line,
// then "ok ref" or "ng ref reason" for each update.
func (p *receiving) report(unpack error) error {
	if p.request.has("report-status") || p.request.has("report-status-v2") {
		if err := p.mux.Send(pktline.Pack, p.statusLines(unpack)); err != nil {
			return err
		}
	}
	return p.mux.Flush()
}

func (p *receiving) statusLines(unpack error) []byte {
	status := "ok"
	if unpack != nil {
		status = oneLine(unpack.Error())
	}
	lines := pktline.Append(nil, "unpack %s\n", status)
	for _, update := range p.request.updates {
		switch {
		case unpack != nil:
			lines = pktline.Append(lines, "ng %s unpacker error\n", update.Name)
		case update.Err != nil:
			lines = pktline.Append(lines, "ng %s %s\n", update.Name, p.reason(update.Err, p.app))
		default:
			lines = pktline.Append(lines, "ok %s\n", update.Name)
		}
	}
	return pktline.AppendFlush(lines)
}

// conceal returns an error about a pack as the client may read it: what is
// wrong with what it sent, but nothing of what went wrong here.
func (p *receiving) conceal(err error) error {
	if problem := packProblem(err); problem != "" {
		p.Log.Info("pack refused", "app", p.app.Name, "actor", p.actor.Name, "reason", err)
		return models.Errorf(models.Invalid, "%s", problem)
	}
	return errors.New(p.reason(err, p.app))
}

// packProblem says what is wrong with a pack, or "" where the pack is not at
// fault.
func packProblem(err error) string {
	var limit *packfile.LimitError
	var broken *packfile.ObjectError
	var missing *packfile.MissingError
	if errors.As(err, &limit) || errors.As(err, &broken) || errors.As(err, &missing) || errors.Is(err, packfile.ErrCorrupt) {
		return err.Error()
	}
	return ""
}
