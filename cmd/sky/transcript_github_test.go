package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/skypanel/sky/internal/testenv/github"
)

// gitHub returns the scene's GitHub stand-in, which it starts when it is first
// asked for.
func (s *scene) gitHub(ts *testscript.TestScript) *github.Host {
	if s.host == nil {
		host, err := github.New(github.Options{})
		ts.Check(err)
		s.host = host
		ts.Defer(func() { ts.Check(host.Close()) })
		ts.Setenv("GITHUB_URL", host.URL)
	}
	return s.host
}

// [!] github WORDS...: has something happen at the GitHub stand-in, as its
// Command says. What it prints is in $OUT, its words in $OUT1, $OUT2, … and all of
// it in the file github.out.
func cmdGitHub(ts *testscript.TestScript, neg bool, args []string) {
	for i, arg := range args {
		if strings.HasPrefix(arg, "./") {
			args[i] = ts.MkAbs(arg)
		}
	}
	output, err := sceneOf(ts).gitHub(ts).Command(args)
	if (err != nil) != neg {
		ts.Fatalf("github %s: %v", strings.Join(args, " "), err)
	}
	ts.Logf("%s", output)
	output = strings.TrimSpace(output)
	ts.Setenv("OUT", output)
	for i, word := range strings.Fields(output) {
		ts.Setenv(fmt.Sprintf("OUT%d", i+1), word)
	}
	ts.Check(os.WriteFile(ts.MkAbs("github.out"), []byte(output+"\n"), 0o600))
}

// eventually-github PATTERN WORDS...: asks the stand-in again and again until what
// it prints matches.
func cmdEventuallyGitHub(ts *testscript.TestScript, neg bool, args []string) {
	host, pattern := sceneOf(ts).gitHub(ts), regexp.MustCompile(args[0])
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		output, err := host.Command(args[1:])
		ts.Check(err)
		if pattern.MatchString(output) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("github %v never said %q; last:\n%s", args[1:], args[0], output)
		}
		<-tick.C
	}
}

var codePattern = regexp.MustCompile(`<pre>([A-Z0-9]{4}-[A-Z0-9]{4})</pre>`)

// connect: connects the transcript's user with GitHub, as they would at a terminal
// with a browser beside it.
func cmdConnect(ts *testscript.TestScript, neg bool, _ []string) {
	begun := struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}{}
	ts.Check(json.Unmarshal(skyOutput(ts, "github", "connect", "--json"), &begun))
	answer, err := http.Get(begun.URL) //nolint:noctx // a test's
	ts.Check(err)
	page, err := io.ReadAll(answer.Body)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	code := codePattern.FindSubmatch(page)
	if code == nil {
		ts.Fatalf("the browser shows no code:\n%s", page)
	}
	ts.Logf("%s", skyOutput(ts, "github", "connect", "--authorization", begun.ID, "--code", string(code[1])))
}

func skyOutput(ts *testscript.TestScript, args ...string) []byte {
	command := exec.Command("sky", args...)
	command.Env = environ(ts)
	output, err := command.CombinedOutput()
	if err != nil {
		ts.Fatalf("sky %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}
