package gitserver

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// converseV2 speaks gitprotocol-v2: capabilities, then commands until the
// client hangs up. Over HTTP each is a request of its own.
func (u *uploading) converseV2(ctx context.Context) error {
	if !u.stateless || u.advertise {
		if err := u.advertiseV2(); err != nil || u.advertise {
			return err
		}
	}
	for {
		command, arguments, err := u.readCommand()
		if errors.Is(err, io.EOF) || err == nil && command == "" {
			return nil
		}
		if err != nil {
			return err
		}
		switch command {
		case "ls-refs":
			err = u.listRefs(arguments)
		case "fetch":
			err = u.fetch(ctx, arguments)
		default:
			err = models.Errorf(models.Invalid, "unknown command %.40q", command)
		}
		if err != nil || u.stateless {
			return err
		}
	}
}

func (u *uploading) advertiseV2() error {
	lines := []byte{}
	for _, line := range []string{"version 2", agent, "ls-refs=unborn", "fetch=shallow", "object-format=sha1"} {
		lines = pktline.Append(lines, "%s\n", line)
	}
	_, err := u.out.Write(pktline.AppendFlush(lines))
	return err
}

// readCommand reads "command=…", capabilities, a delimiter and arguments. An
// empty command is a flush: the client is done.
func (u *uploading) readCommand() (command string, arguments []string, err error) {
	most := u.limits.Wants + u.limits.Haves + u.limits.Shallows + 100
	delimited := false
	for range most {
		kind, line, err := u.packets.Next()
		switch {
		case err != nil:
			return "", nil, err
		case kind == pktline.Flush:
			return command, arguments, nil
		case kind == pktline.Delimiter:
			delimited = true
		case delimited:
			arguments = append(arguments, line)
		case strings.HasPrefix(line, "command="):
			command = strings.TrimPrefix(line, "command=")
		case strings.HasPrefix(line, "object-format=") && line != "object-format=sha1":
			return "", nil, models.Errorf(models.Invalid, "this server uses sha1")
		}
	}
	return "", nil, models.Errorf(models.TooLarge, "more than %d lines in one request", most)
}

// listRefs answers ls-refs.
func (u *uploading) listRefs(arguments []string) error {
	options := map[string]bool{}
	var prefixes []string
	for _, argument := range arguments {
		if prefix, ok := strings.CutPrefix(argument, "ref-prefix "); ok {
			prefixes = append(prefixes, prefix)
		}
		options[argument] = true
	}
	lines := u.headLine(options, prefixes)
	for _, ref := range u.refs {
		if !matchesPrefix(ref.Name, prefixes) {
			continue
		}
		attributes := ""
		if peeled, ok := u.peel(ref.ID); ok && options["peel"] {
			attributes = " peeled:" + peeled.String()
		}
		lines = pktline.Append(lines, "%s %s%s\n", ref.ID, ref.Name, attributes)
	}
	_, err := u.out.Write(pktline.AppendFlush(lines))
	return err
}

// headLine is HEAD's, unborn when nothing was deployed yet.
func (u *uploading) headLine(options map[string]bool, prefixes []string) []byte {
	if !matchesPrefix("HEAD", prefixes) {
		return nil
	}
	target := ""
	if options["symrefs"] {
		target = " symref-target:" + branchPrefix + u.app.DeployBranch
	}
	if head, ok := u.head(); ok {
		return pktline.Append(nil, "%s HEAD%s\n", head.ID, target)
	}
	if options["unborn"] {
		return pktline.Append(nil, "unborn HEAD%s\n", target)
	}
	return nil
}

func matchesPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(prefixes) == 0
}

// fetch answers fetch: acknowledgments until something is common or the client
// is done, then shallow-info and the pack.
func (u *uploading) fetch(ctx context.Context, arguments []string) error {
	request := newFetchRequest()
	for _, argument := range arguments {
		if err := u.addLine(request, argument); err != nil {
			return err
		}
	}
	request.sideBand = true // always, in v2
	if len(request.wants) == 0 {
		return models.Errorf(models.Invalid, "a fetch without wants")
	}
	var lines []byte
	if !request.done {
		lines = acknowledgments(request.haves)
		if len(request.haves) == 0 {
			_, err := u.out.Write(pktline.AppendFlush(lines))
			return err
		}
		lines = pktline.AppendDelimiter(lines)
	}
	plan, err := u.planDepth(request)
	if err != nil {
		return err
	}
	if request.deepens {
		lines = append(pktline.Append(lines, "shallow-info\n"), plan.lines()...)
		lines = pktline.AppendDelimiter(lines)
	}
	if _, err := u.out.Write(pktline.Append(lines, "packfile\n")); err != nil {
		return err
	}
	return u.sendPack(ctx, request, plan)
}

func acknowledgments(common []object.ID) []byte {
	lines := pktline.Append(nil, "acknowledgments\n")
	if len(common) == 0 {
		return pktline.Append(lines, "NAK\n")
	}
	for _, id := range common {
		lines = pktline.Append(lines, "ACK %s\n", id)
	}
	return pktline.Append(lines, "ready\n")
}
