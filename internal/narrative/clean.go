package narrative

import "strings"

// Clean makes text safe to show on a terminal: control characters, among them
// the escape that begins a control sequence, become visible.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0:
			return '·'
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // bidirectional overrides
			return '·'
		default:
			return r
		}
	}, strings.ToValidUTF8(text, "·"))
}
