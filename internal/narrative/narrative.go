// Package narrative lays out what Sky tells a person while something happens: a
// heading, a text, and how long it took, within an 80-column terminal.
package narrative

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Width is what is left of 80 columns behind git's own "remote: ".
const Width = 71

const indent = 9

// Field is a heading and its text, wrapped with a hanging indent.
func Field(heading, text string) string {
	var lines []string
	line := fmt.Sprintf("%-*s", indent, heading)
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > Width {
			lines = append(lines, line)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	return strings.Join(append(lines, line), "\n")
}

// Timed is a Field that ends with how long it took, at the right edge.
func Timed(heading, text string, took time.Duration) string {
	body := Field(heading, text)
	duration := fmt.Sprintf("%.1fs", took.Seconds())
	last := body[strings.LastIndexByte(body, '\n')+1:]
	gap := Width - utf8.RuneCountInString(last) - len(duration)
	if gap < 1 {
		return body + "\n" + fmt.Sprintf("%*s", Width, duration)
	}
	return body + strings.Repeat(" ", gap) + duration
}

// Command writes an argument vector as people type it: one that a shell runs is
// what the shell runs.
func Command(arguments []string) string {
	if len(arguments) == 3 && arguments[0] == "/bin/sh" && arguments[1] == "-c" {
		return strings.TrimPrefix(arguments[2], "exec ")
	}
	return strings.Join(arguments, " ")
}
