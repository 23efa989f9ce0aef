package github

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// word is one act that Command knows.
type word struct {
	name, usage string
	least       int // arguments after the name
	run         func(args []string) (string, error)
}

// Command does what a transcript's words say and returns what is to be printed.
// Without words it returns the list of them.
func (h *Host) Command(args []string) (output string, err error) {
	words := slices.Concat(h.peopleWords(), h.appWords(), h.pushWords(), h.faultWords(), h.lookWords())
	if len(args) == 0 {
		var usage strings.Builder
		for _, w := range words {
			fmt.Fprintln(&usage, strings.TrimSpace(w.name+" "+w.usage))
		}
		return usage.String(), nil
	}
	for _, w := range words {
		if w.name != args[0] {
			continue
		}
		if len(args)-1 < w.least {
			return "", fmt.Errorf("usage: github %s %s", w.name, w.usage)
		}
		return w.run(args[1:])
	}
	return "", fmt.Errorf("github %s: no such word", args[0])
}

// quiet makes a word of an act that prints nothing.
func quiet(act func(a []string) error) func([]string) (string, error) {
	return func(a []string) (string, error) { return "", act(a) }
}

// line prints a result on a line of its own.
func line(result string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return result + "\n", nil
}

func (h *Host) peopleWords() []word {
	return []word{
		{"user", "LOGIN", 1, quiet(func(a []string) error { h.AddUser(a[0]); return nil })},
		{"org", "LOGIN OWNER...", 2, quiet(func(a []string) error { h.AddOrganization(a[0], a[1:]...); return nil })},
		{"browse", "LOGIN", 1, quiet(func(a []string) error { h.Browse(a[0]); return nil })},
		{"deny", "", 0, quiet(func([]string) error { h.Deny(); return nil })},
		{"token", "LOGIN [SCOPE...]", 1, func(a []string) (string, error) { return line(h.AddToken(a[0], a[1:]...), nil) }},
		{"revoke", "LOGIN", 1, quiet(func(a []string) error {
			for _, value := range h.Tokens(a[0]) {
				h.RevokeToken(value)
			}
			return nil
		})},
		{"oauth-app", "CALLBACK", 1, func(a []string) (string, error) {
			app := h.AddOAuthApp(a[0])
			return line(app.ClientID+" "+app.ClientSecret, nil)
		}},
		{"approve-url", "URL [call]", 1, func(a []string) (string, error) { return line(h.follows(a[0], len(a) > 1 && a[1] == "call")) }},
		{"repo", "OWNER/NAME [private]", 1, quiet(func(a []string) error { return h.AddRepository(a[0], len(a) > 1 && a[1] == "private") })},
		{"collaborator", "REPO LOGIN PERMISSION", 3, quiet(func(a []string) error { return h.AddCollaborator(a[0], a[1], a[2]) })},
		{"fork", "REPO LOGIN", 2, func(a []string) (string, error) { return line(h.Fork(a[0], a[1])) }},
		{"rename", "REPO NAME", 2, quiet(func(a []string) error { return h.RenameRepository(a[0], a[1]) })},
		{"transfer", "REPO LOGIN", 2, quiet(func(a []string) error { return h.TransferRepository(a[0], a[1]) })},
		{"delete-repo", "REPO", 1, quiet(func(a []string) error { return h.DeleteRepository(a[0]) })},
	}
}

func (h *Host) pushWords() []word {
	return []word{
		{"push", "REPO BRANCH DIR MESSAGE [force] [hidden] [base=REF] [by=LOGIN]", 4, func(a []string) (string, error) {
			p := Push{Repo: a[0], Branch: a[1], Commits: []Commit{{Dir: a[2], Message: a[3]}}}
			if err := p.options(a[4:]); err != nil {
				return "", err
			}
			return line(h.Push(p))
		}},
		{"publish", "REPO", 1, quiet(func(a []string) error { return h.Publish(a[0]) })},
		{"delete-branch", "REPO BRANCH", 2, quiet(func(a []string) error { return h.DeleteBranch(a[0], a[1]) })},
		{"tag", "REPO TAG OF [MESSAGE]", 3, func(a []string) (string, error) {
			return line(h.PushTag(a[0], a[1], a[2], strings.Join(a[3:], " ")))
		}},
		{"delete-tag", "REPO TAG", 2, quiet(func(a []string) error { return h.DeleteTag(a[0], a[1]) })},
		{"pull", "open REPO HEAD BASE TITLE | sync REPO N DIR MESSAGE | close REPO N | merge REPO N | reopen REPO N", 3, h.pullWord},
	}
}

func (p *Push) options(words []string) error {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "force":
			p.Force = true
		case "hidden":
			p.Hidden = true
		case "base":
			p.Base = value
		case "by":
			p.By = value
		default:
			return fmt.Errorf("push: %q is no option", w)
		}
	}
	return nil
}

func (h *Host) pullWord(a []string) (string, error) {
	if a[0] == "open" {
		if len(a) < 5 {
			return "", errors.New("usage: github pull open REPO HEAD BASE TITLE")
		}
		number, err := h.OpenPull(a[1], a[2], a[3], a[4])
		return line(strconv.Itoa(number), err)
	}
	number, err := strconv.Atoi(a[2])
	if err != nil {
		return "", fmt.Errorf("%q is no pull request's number", a[2])
	}
	switch a[0] {
	case "sync":
		return h.syncWord(number, a)
	case "close", "merge":
		return "", h.ClosePull(a[1], number, a[0] == "merge")
	case "reopen":
		return "", h.ReopenPull(a[1], number)
	}
	return "", fmt.Errorf("github pull %s: no such word", a[0])
}

// syncWord pushes to a pull request's branch.
func (h *Host) syncWord(number int, a []string) (string, error) {
	if len(a) < 5 {
		return "", errors.New("usage: github pull sync REPO N DIR MESSAGE")
	}
	for _, p := range h.Pulls(a[1]) {
		if p.Number == number {
			return line(h.Push(Push{Repo: p.HeadRepo, Branch: p.Head, Commits: []Commit{{Dir: a[3], Message: a[4]}}}))
		}
	}
	return "", fmt.Errorf("%s has no pull request %d", a[1], number)
}

func (h *Host) faultWords() []word {
	return []word{
		{"lose", "N [EVENT...]", 1, counted(func(n int, rest []string) error { h.Lose(n, rest...); return nil })},
		{"repeat", "N COPIES [EVENT...]", 2, counted(func(n int, rest []string) error {
			copies, err := strconv.Atoi(rest[0])
			h.Repeat(n, copies, rest[1:]...)
			return err
		})},
		{"hold", "[EVENT...]", 0, quiet(func(a []string) error { h.Hold(a...); return nil })},
		{"release", "[GUID...]", 0, quiet(func(a []string) error { h.Release(a...); return nil })},
		{"redeliver", "GUID", 1, quiet(func(a []string) error { return h.Redeliver(a[0]) })},
		{"down", "[STATUS]", 0, quiet(func(a []string) error {
			if len(a) == 0 {
				h.Down(StatusClosed)
				return nil
			}
			status, err := strconv.Atoi(a[0])
			h.Down(status)
			return err
		})},
		{"up", "", 0, quiet(func([]string) error { h.Up(); return nil })},
		{"fail", "N STATUS PREFIX", 3, counted(func(n int, rest []string) error {
			status, err := strconv.Atoi(rest[0])
			h.Fail(rest[1], status, n)
			return err
		})},
		{"limit", "N [secondary]", 1, counted(func(n int, rest []string) error {
			h.Limit(RateLimit{Requests: n, Secondary: slices.Contains(rest, "secondary")})
			return nil
		})},
	}
}

// counted makes a word of an act whose first argument is a number.
func counted(act func(n int, rest []string) error) func([]string) (string, error) {
	return func(a []string) (string, error) {
		n, err := strconv.Atoi(a[0])
		if err != nil {
			return "", fmt.Errorf("%q is no number", a[0])
		}
		return "", act(n, a[1:])
	}
}
