package object

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
)

var newline = []byte{'\n'}

// CommitInfo is what Sky reads from a commit.
type CommitInfo struct {
	Tree    ID
	Parents []ID
	Author  string // "Name <mail>"
	When    time.Time
	Subject string
	// Message is all of it, the subject included.
	Message string
}

// ParseCommit reads a commit object.
func ParseCommit(data []byte) (CommitInfo, error) {
	var info CommitInfo
	header, message, _ := bytes.Cut(data, []byte("\n\n"))
	var links collector
	if problem := checkCommit(append(header[:len(header):len(header)], "\n\n"...), &links); problem != "" {
		return info, errors.New(problem)
	}
	info.Tree, info.Parents = links.ids[0], links.ids[1:]
	for line := range bytes.SplitSeq(header, newline) {
		if person, ok := bytes.CutPrefix(line, []byte("author ")); ok && info.Author == "" {
			info.Author, _ = parsePerson(string(person))
		}
		if person, ok := bytes.CutPrefix(line, []byte("committer ")); ok {
			_, info.When = parsePerson(string(person))
		}
	}
	info.Subject, info.Message = subject(message), strings.ToValidUTF8(string(message), "\uFFFD")
	return info, nil
}

// parsePerson splits "Name <mail> seconds zone".
func parsePerson(line string) (name string, when time.Time) {
	end := strings.LastIndexByte(line, '>')
	if end < 0 {
		return line, when
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) > 0 {
		if seconds, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			when = time.Unix(seconds, 0).UTC()
		}
	}
	return line[:end+1], when
}

// subject is the first paragraph of a message on one line, as git log %s.
func subject(message []byte) string {
	text := strings.TrimLeft(string(message), "\n")
	paragraph, _, _ := strings.Cut(text, "\n\n")
	return strings.Join(strings.Fields(strings.ToValidUTF8(paragraph, "\uFFFD")), " ")
}

// TagTarget returns what an annotated tag points to.
func TagTarget(data []byte) (ID, Kind, error) {
	var links collector
	if problem := checkTag(data, &links); problem != "" {
		return Zero, 0, errors.New(problem)
	}
	return links.ids[0], links.kind, nil
}

// collector is a Visitor that keeps the links of one commit or tag.
type collector struct {
	ids  []ID
	kind Kind // of the last
}

func (c *collector) Link(id *ID, kind Kind) { c.ids, c.kind = append(c.ids, *id), kind }
func (c *collector) Modules(*ID)            {}
