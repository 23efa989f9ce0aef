package github_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what is refused
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/url"
	"strings"
	"testing"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func signature(name string, algorithm func() hash.Hash, secret, body string) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write([]byte(body))
	return name + "=" + hex.EncodeToString(mac.Sum(nil))
}

func TestReadDelivery(t *testing.T) {
	const body = `{"zen": "x"}`
	form := url.Values{"payload": {body}}.Encode()
	good := signature("sha256", sha256.New, "secret", body)
	for name, test := range map[string]struct {
		kind, signature, body, secret string
		fine                          bool
	}{
		"json":              {"application/json", good, body, "secret", true},
		"with a charset":    {"application/json; charset=utf-8", good, body, "secret", true},
		"no content type":   {"", good, body, "secret", true},
		"form":              {"application/x-www-form-urlencoded", signature("sha256", sha256.New, "secret", form), form, "secret", true},
		"upper case":        {"application/json", "sha256=" + strings.ToUpper(good[7:]), body, "secret", true},
		"unsigned":          {"application/json", "", body, "secret", false},
		"sha1":              {"application/json", signature("sha1", sha1.New, "secret", body), body, "secret", false},
		"empty secret":      {"application/json", signature("sha256", sha256.New, "", body), body, "", false},
		"another secret":    {"application/json", signature("sha256", sha256.New, "other", body), body, "secret", false},
		"another body":      {"application/json", good, body + " ", "secret", false},
		"shortened":         {"application/json", good[:len(good)-2], body, "secret", false},
		"empty hex":         {"application/json", "sha256=", body, "secret", false},
		"no hex":            {"application/json", "sha256=" + strings.Repeat("z", 64), body, "secret", false},
		"another algorithm": {"application/json", "sha512=" + good[7:], body, "secret", false},
		"another type":      {"text/html", good, body, "secret", false},
	} {
		payload, err := github.ReadDelivery(test.kind, test.signature, []byte(test.body), []byte(test.secret))
		require.Equal(t, test.fine, err == nil, "%s: %v", name, err)
		if test.fine {
			require.JSONEq(t, body, string(payload), name)
			continue
		}
		require.Equal(t, models.Unauthorized, models.CodeOf(err), name)
		require.NotContains(t, err.Error(), "secret=")
	}
}

func TestParseEvent(t *testing.T) {
	push := `{"ref": "refs/heads/main", "before": "b", "after": "a", "deleted": true, "head_commit": {"message": "m"}, "repository": {"id": 7}, "installation": {"id": 3}}`
	event, err := github.ParseEvent("push", []byte(push))
	require.NoError(t, err)
	require.Equal(t, github.Event{
		Name: "push", Ref: "refs/heads/main", Before: "b", After: "a", Deleted: true, Message: "m", Repository: 7, Installation: 3,
	}, event)
	pull := `{"action": "opened", "repository": {"id": 7}, "pull_request": {"number": 5, "title": "t", "state": "open", "user": {"login": "u"},
		"head": {"ref": "f", "sha": "h", "repo": null}, "base": {"ref": "main", "sha": "b", "repo": {"id": 7}}}}`
	event, err = github.ParseEvent("pull_request", []byte(pull))
	require.NoError(t, err)
	require.Equal(t, github.Pull{Number: 5, Title: "t", Author: "u", Open: true, Head: "h", Base: "main", BaseRepository: 7}, *event.Pull)
	require.True(t, event.Pull.Fork(), "a fork that is gone is a fork")
	require.Equal(t, "refs/pull/5/head", event.Pull.Ref())
	for name, wrong := range map[string]string{
		"no JSON": "x", "empty": "", "a list": "[]", "a repository by name": `{"repository": "acme/shop"}`, "another ref": `{"ref": 7}`,
		"too large an id": `{"repository": {"id": 1e40}}`,
	} {
		for _, event := range []string{"push", "pull_request"} {
			_, err := github.ParseEvent(event, []byte(wrong))
			if event == "push" || name == "no JSON" || name == "empty" || name == "a list" || name == "another ref" {
				require.Equal(t, models.Invalid, models.CodeOf(err), "%s %s", event, name)
			}
		}
		_, err := github.ParseEvent("star", []byte(wrong))
		require.NoError(t, err, "what means nothing to Sky is read politely: %s", name)
	}
}

func TestSkipsDeployment(t *testing.T) {
	for message, skips := range map[string]bool{
		"": false, "change": false, "skip ci": false, "[skip  ci]": false,
		"fix [skip ci]": true, "fix [SKIP CI]": true, "[ci skip] fix": true, "fix\n\nbody [no ci]": true,
		"[skip actions]": true, "[actions skip]": true, "[skip sky]": true, "[sky skip]": true,
		"fix\n\n\nskip-checks: true": true, "fix\n\nbody\n\nskip-checks:true\n": true,
		"fix skip-checks: true": false, "fix\n\nskip-checks: true\n\nbut not as a trailer": false,
	} {
		require.Equal(t, skips, github.SkipsDeployment(message), "%q", message)
	}
}
