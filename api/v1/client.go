package v1

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Client speaks to a Sky server. Its methods return *Problem for what the
// server refuses, and block until it has answered.
type Client struct {
	// URL is the server's address, such as http://127.0.0.1:8080.
	URL   string
	Token string
	// Session is a login's cookie, in place of a token; Login makes it.
	Session string
	HTTP    *http.Client
}

const (
	customer  = "/api/paas"
	admin     = "/api/admin/paas"
	internal  = "/api/internal/paas"
	maxAnswer = 64 << 20
)

// Whoami returns the token's owner.
func (c *Client) Whoami(ctx context.Context) (Identity, error) {
	return call[Identity](ctx, c, http.MethodGet, customer+"/whoami", nil)
}

// Keys lists your SSH keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return call[[]Key](ctx, c, http.MethodGet, customer+"/keys", nil)
}

// AddKey lets an SSH key push.
func (c *Client) AddKey(ctx context.Context, key NewKey) (Key, error) {
	return call[Key](ctx, c, http.MethodPost, customer+"/keys", key)
}

// RemoveKey removes the key of this name or fingerprint.
func (c *Client) RemoveKey(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, customer+"/keys/"+url.PathEscape(name), nil)
}

// Apps lists your apps; an empty organisation is all of yours.
func (c *Client) Apps(ctx context.Context, organisation string) ([]App, error) {
	return list[App](ctx, c, customer+"/applications?organisation="+url.QueryEscape(organisation))
}

// CreateApp makes an app.
func (c *Client) CreateApp(ctx context.Context, app NewApp) (App, error) {
	return call[App](ctx, c, http.MethodPost, customer+"/applications", app)
}

// App returns one app.
func (c *Client) App(ctx context.Context, name string) (App, error) {
	return call[App](ctx, c, http.MethodGet, appPath(name), nil)
}

// ChangeApp changes settings.
func (c *Client) ChangeApp(ctx context.Context, name string, change AppChange) (App, error) {
	return call[App](ctx, c, http.MethodPatch, appPath(name), change)
}

// DestroyApp removes an app with all it has; confirm repeats its name.
func (c *Client) DestroyApp(ctx context.Context, name, confirm string) error {
	return c.do(ctx, http.MethodDelete, appPath(name)+"?confirm="+url.QueryEscape(confirm), nil)
}

// Builds lists an app's newest builds, newest first.
func (c *Client) Builds(ctx context.Context, app string) ([]Build, error) {
	page, err := call[Page[Build]](ctx, c, http.MethodGet, appPath(app)+"/builds?limit=100", nil)
	return page.Items, err
}

// Build returns one build; number 0 is the newest.
func (c *Client) Build(ctx context.Context, app string, number int) (Build, error) {
	return call[Build](ctx, c, http.MethodGet, buildPath(app, number), nil)
}

// Deploy builds and rolls out what was pushed already; the answer is the build
// that is on it.
func (c *Client) Deploy(ctx context.Context, app string, wanted Deploy) (Build, error) {
	return call[Build](ctx, c, http.MethodPost, appPath(app)+"/deploy", wanted)
}

// ExplainBuild says why a build did what it did.
func (c *Client) ExplainBuild(ctx context.Context, app string, number int) (BuildExplanation, error) {
	return call[BuildExplanation](ctx, c, http.MethodGet, appPath(app)+"/builds/"+strconv.Itoa(number)+"/why", nil)
}

// CancelBuild stops a build.
func (c *Client) CancelBuild(ctx context.Context, app string, number int) (Build, error) {
	return call[Build](ctx, c, http.MethodPost, buildPath(app, number)+"/cancel", nil)
}

// BuildLog calls yield for each line; with follow until the build ends.
func (c *Client) BuildLog(ctx context.Context, app string, number int, follow bool, yield func(LogLine) error) error {
	return stream(ctx, c, buildPath(app, number)+"/logs?follow="+strconv.FormatBool(follow), yield)
}

// AppLog calls yield for the last lines of an app's log; with follow it goes on
// until ctx ends.
func (c *Client) AppLog(ctx context.Context, app string, lines int, follow bool, yield func(LogLine) error) error {
	path := fmt.Sprintf("%s/logs?lines=%d&follow=%t", appPath(app), lines, follow)
	return stream(ctx, c, path, yield)
}

// Releases lists an app's newest releases, newest first.
func (c *Client) Releases(ctx context.Context, app string) ([]Release, error) {
	page, err := call[Page[Release]](ctx, c, http.MethodGet, appPath(app)+"/releases?limit=100", nil)
	return page.Items, err
}

// SBOM returns the packages in a release's image, as a CycloneDX document.
func (c *Client) SBOM(ctx context.Context, app, release string) (json.RawMessage, error) {
	return call[json.RawMessage](ctx, c, http.MethodGet, appPath(app)+"/releases/"+url.PathEscape(release)+"/sbom", nil)
}

// Rollback goes back to a release; an empty one is the one before.
func (c *Client) Rollback(ctx context.Context, app, release string) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, appPath(app)+"/rollback", Rollback{Release: release})
}

// Promote makes a release of one app a release of another.
func (c *Client) Promote(ctx context.Context, app string, promotion Promotion) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, appPath(app)+"/promote", promotion)
}

// Env returns an app's environment; without reveal the values are empty.
func (c *Client) Env(ctx context.Context, app string, reveal bool) (map[string]string, error) {
	return call[map[string]string](ctx, c, http.MethodGet, appPath(app)+"/env?reveal="+strconv.FormatBool(reveal), nil)
}

// ChangeEnv sets and unsets environment variables.
func (c *Client) ChangeEnv(ctx context.Context, app string, change EnvChange) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPatch, appPath(app)+"/env", change)
}

// Scale sets instance counts.
func (c *Client) Scale(ctx context.Context, app string, formation map[string]int) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, appPath(app)+"/scale", Scale{Formation: formation})
}

// Operate restarts, stops or starts an app.
func (c *Client) Operate(ctx context.Context, app, verb string) (Outcome, error) {
	return call[Outcome](ctx, c, http.MethodPost, appPath(app)+"/"+verb, nil)
}

// StartRun starts a command by itself, without a terminal.
func (c *Client) StartRun(ctx context.Context, app string, command []string) (Instance, error) {
	return call[Instance](ctx, c, http.MethodPost, appPath(app)+"/runs", NewRun{Command: command})
}

// EndRun stops what runs by itself, by its id or name.
func (c *Client) EndRun(ctx context.Context, app, instance string) error {
	return c.do(ctx, http.MethodDelete, appPath(app)+"/runs/"+url.PathEscape(instance), nil)
}

// TerminalPath is where a terminal is opened: verb is exec or run.
func TerminalPath(app, verb string) string { return appPath(app) + "/" + verb }

// Metrics returns what an app's instances use.
func (c *Client) Metrics(ctx context.Context, app string) ([]InstanceMetrics, error) {
	return call[[]InstanceMetrics](ctx, c, http.MethodGet, appPath(app)+"/metrics", nil)
}

// Instances lists what an app runs.
func (c *Client) Instances(ctx context.Context, app string) ([]Instance, error) {
	return call[[]Instance](ctx, c, http.MethodGet, appPath(app)+"/instances", nil)
}

// Join exchanges a join token for a credential.
func (c *Client) Join(ctx context.Context, token string) (Credential, error) {
	return call[Credential](ctx, c, http.MethodPost, internal+"/nodes/register", Join{Token: token})
}

// Renew exchanges the client's agent credential for a fresh one.
func (c *Client) Renew(ctx context.Context) (Credential, error) {
	return call[Credential](ctx, c, http.MethodPost, internal+"/nodes/renew", nil)
}

func appPath(app string) string { return customer + "/applications/" + url.PathEscape(app) }

func buildPath(app string, number int) string {
	return appPath(app) + "/builds/" + strconv.Itoa(number)
}

// list reads every page of a list. Path has a query already.
func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	items := []T{}
	for cursor := ""; ; {
		page, err := call[Page[T]](ctx, c, http.MethodGet, path+"&limit=200&cursor="+url.QueryEscape(cursor), nil)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if cursor = page.Next; cursor == "" {
			return items, nil
		}
	}
}

// do sends one request whose answer has nothing to say.
func (c *Client) do(ctx context.Context, method, path string, body any) error {
	_, err := call[struct{}](ctx, c, method, path, body)
	return err
}

// call sends one request and decodes its answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var decoded T
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return decoded, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNoContent {
		return decoded, nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&decoded); err != nil {
		return decoded, fmt.Errorf("read the server's answer: %w", err)
	}
	return decoded, nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
	}
	return c.Raw(ctx, method, path, content, nil)
}

// Raw sends one request as it is given, with headers as "Name: value", and
// returns an answer below 400; the caller closes its body. Others are *Problem.
func (c *Client) Raw(ctx context.Context, method, path string, content []byte, headers []string) (*http.Response, error) {
	var body io.Reader
	if len(content) > 0 {
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.Session != "" {
		request.Header.Set("Cookie", c.Session)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		defer func() { _ = answer.Body.Close() }()
		return nil, readProblem(answer)
	}
	return answer, nil
}

func readProblem(answer *http.Response) error {
	problem := &Problem{Status: answer.StatusCode, Detail: "the server answered " + answer.Status}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return problem.read(text)
}

// read fills the problem in from its document; one that cannot be read leaves it
// as it is.
func (p *Problem) read(text []byte) error {
	document := *p
	if json.Unmarshal(text, &document) == nil && document.Detail != "" {
		*p = document
	}
	return p
}

// stream reads server-sent events (the WHATWG HTML standard, section 9.2), each
// the JSON of a T. A stream that could not be begun returns its *Problem.
func stream[T any](ctx context.Context, c *Client, path string, yield func(T) error) error {
	answer, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	scanner := bufio.NewScanner(answer.Body)
	scanner.Buffer(nil, 1<<20)
	problem := &Problem{}
	for scanner.Scan() {
		line := scanner.Text()
		if line == "event: problem" {
			problem.Status = answer.StatusCode
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if problem.Status != 0 {
			return problem.read([]byte(data))
		}
		var event T
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if err := yield(event); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the stream was cut off: %w", err)
	}
	return nil
}
