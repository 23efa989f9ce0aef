package object

import (
	"bytes"
	"strings"
)

const maxName = 4096

// checkName refuses names that leave their directory or that some file system
// takes for .git.
func checkName(name []byte) string {
	switch {
	case len(name) == 0:
		return "emptyName: contains empty pathname"
	case len(name) > maxName:
		return "largePathname: contains excessively large pathname"
	case string(name) == ".":
		return "hasDot: contains '.'"
	case string(name) == "..":
		return "hasDotdot: contains '..'"
	case bytes.IndexByte(name, '/') >= 0:
		return "fullPathname: contains full pathnames"
	case mayDisguise(name) && disguises(string(name), ".git", "git~1"):
		return "hasDotgit: contains '.git'"
	}
	return ""
}

// mayDisguise is the quick way past almost every name.
func mayDisguise(name []byte) bool {
	first := name[0]
	if first == '.' || first == 'g' || first == 'G' {
		return true
	}
	for _, c := range name {
		if c == '\\' || c >= 0x80 {
			return true
		}
	}
	return false
}

// disguises reports whether some file system takes name for one of the
// targets: in any case, with NTFS's trailing dots, spaces and ::$STREAM, behind
// a backslash, or with the code points that HFS+ ignores.
func disguises(name string, targets ...string) bool {
	if plainName(name) {
		return matches(name, targets)
	}
	for part := range strings.SplitSeq(name, `\`) {
		plain := strings.Map(dropIgnorable, part)
		plain, _, _ = strings.Cut(plain, ":")
		if matches(plain, targets) {
			return true
		}
	}
	return false
}

// plainName reports whether no code point of name needs a closer look.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '\\' || c == ':' || c >= 0x80 {
			return false
		}
	}
	return true
}

func matches(name string, targets []string) bool {
	name = strings.TrimRight(name, ". ")
	for _, target := range targets {
		if strings.EqualFold(name, target) {
			return true
		}
	}
	return false
}

func dropIgnorable(r rune) rune {
	switch {
	case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
		return -1
	default:
		return r
	}
}

// IsModules reports whether name is, or disguises, ".gitmodules".
func IsModules(name []byte) bool {
	return mayDisguise(name) && disguises(string(name), ".gitmodules", "gitmod~1")
}

// CheckModules says what makes a .gitmodules file dangerous to a git client
// that honours it: a path or URL that is an option, a path that leaves the tree,
// a command to run.
func CheckModules(data []byte) (problem string) {
	for line := range strings.SplitSeq(string(data), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "[submodule"); ok && strings.Contains(name, "..") {
			return "gitmodulesName: disallowed submodule name"
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "url":
			if strings.HasPrefix(value, "-") {
				return "gitmodulesUrl: disallowed submodule url"
			}
		case "path":
			if strings.HasPrefix(value, "-") || leaves(value) {
				return "gitmodulesPath: disallowed submodule path"
			}
		case "update":
			if strings.HasPrefix(value, "!") {
				return "gitmodulesUpdate: disallowed submodule update setting"
			}
		}
	}
	return ""
}

func leaves(path string) bool {
	if strings.HasPrefix(path, "/") {
		return true
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}
