package refs

import (
	"fmt"
	"strings"
)

const maxName = 1024

// CheckName says why name cannot be a ref, or returns nil. A name begins with
// refs/ and has at least three parts.
func CheckName(name string) error {
	if !strings.HasPrefix(name, "refs/") || len(name) > maxName {
		return fmt.Errorf("funny refname: it must begin with refs/ and have at most %d bytes", maxName)
	}
	parts := strings.Split(name, "/")
	if len(parts) < 3 {
		return fmt.Errorf("funny refname: %q has too few parts", name)
	}
	for _, part := range parts {
		if !soundPart(part) {
			return fmt.Errorf("funny refname: %q is not allowed in it", part)
		}
	}
	if name == "refs/heads/HEAD" || strings.HasPrefix(parts[2], "-") {
		return fmt.Errorf("funny refname: %q is not allowed in it", parts[2])
	}
	return nil
}

func soundPart(part string) bool {
	switch {
	case part == "", part == "@", part[0] == '.', strings.HasSuffix(part, "."), strings.HasSuffix(part, ".lock"):
		return false
	case strings.Contains(part, ".."), strings.Contains(part, "@{"):
		return false
	}
	for i := range len(part) {
		if c := part[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return false
		}
	}
	return true
}
